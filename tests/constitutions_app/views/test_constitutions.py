from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.models import Constitution
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of

pytestmark = pytest.mark.django_db


def test_the_start_leads_to_the_list(reader: User) -> None:
    assert signed_in(reader).get("/").headers["Location"] == reverse("constitutions:list")
    assert Client().get("/").headers["Location"].startswith("/sign-in/")


def test_an_empty_list_says_what_to_do_next(author: User, reader: User) -> None:
    url = reverse("constitutions:list")
    assert reverse("constitutions:create") in signed_in(author).get(url).content.decode()
    html = signed_in(reader).get(url).content.decode()
    assert "No constitutions yet" in html and reverse("constitutions:create") not in html


def test_the_list_says_how_each_one_stands(author: User, reader: User) -> None:
    made = make_constitution(author, name="Edited")
    make_constitution(author, name="Fresh", published=False)
    make_constitution(author, name="Settled")
    row = principle_of(made, "honesty")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "x"})
    html = signed_in(reader).get(reverse("constitutions:list")).content.decode()
    states = [part.split("<")[0] for part in html.split('<span class="state" data-state=')[1:]]
    assert states == ['"draft">edited since', '"draft">draft', '"published">published']


def test_the_lists_queries_do_not_grow(author: User, reader: User) -> None:
    client, url = signed_in(reader), reverse("constitutions:list")
    counts = []
    for name in ("One", "Two", "Three"):
        make_constitution(author, name=name)
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        counts.append(len(queries))
    assert len(set(counts)) == 1
    assert counts[0] <= 6


def test_a_new_one_starts_empty_or_from_a_version(constitution: Constitution, author: User) -> None:
    client, url = signed_in(author), reverse("constitutions:create")
    assert client.post(url, {"name": "Blank"}).headers["Location"] == reverse("constitutions:draft", args=["blank"])
    start = constitution.versions.get()
    client.post(url, {"name": "Copied", "start": start.pk})
    copied = Constitution.objects.get(slug="copied")
    assert draft_of(copied).to_core().principles == start.to_core().principles
    assert client.post(url, {"name": ""}).status_code == 422
    assert client.post(url, {"name": "Odd", "start": "999999"}).status_code == 422


def test_the_page_of_one_says_how_far_the_draft_is(constitution: Constitution, author: User, reader: User) -> None:
    url = reverse("constitutions:detail", args=["test"])
    html = signed_in(reader).get(url).content.decode()
    assert "same as v1" in html
    assert reverse("constitutions:publish", args=["test"]) not in html
    row = principle_of(constitution, "honesty")
    for text in ("Be honest.", "Be honest always."):
        row = actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": text})
    html = signed_in(author).get(url).content.decode()
    assert "1 change since v1" in html and "1 edited." in html
    assert 'edited a principle: <span class="matter">Honesty</span> <span class="quiet">2 times</span>' in html
    assert reverse("constitutions:publish", args=["test"]) in html


def test_versions_stand_newest_first(constitution: Constitution, author: User, reader: User) -> None:
    row = principle_of(constitution, "honesty")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Be honest."})
    actions.publish_version(user=author, draft=draft_of(constitution), note="Second.")
    html = signed_in(reader).get(reverse("constitutions:detail", args=["test"])).content.decode()
    assert html.index("Second.") < html.index("First.")
    assert reverse("constitutions:compare", args=["test", "v1", "v2"]) in html
