from __future__ import annotations

import hashlib

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.core.principles import Principle
from constitutions_app.models import Constitution, Version
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, newest, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(reader: User) -> Client:
    return signed_in(reader)


def edit_and_publish(constitution: Constitution, user: User, key: str = "honesty", **changes: object) -> Version:
    row = principle_of(constitution, key)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)
    return actions.publish_version(user=user, draft=draft_of(constitution), note="Because it was unclear.")


def big(author: User, size: int) -> Constitution:
    items = tuple(Principle(id=f"p{number}", title=f"P {number}", text=f"Text {number}.") for number in range(size))
    return make_constitution(author, name=f"Size {size}", body=Body("x", principles=items))


def test_a_version_shows_every_word_it_froze(constitution: Constitution, client: Client) -> None:
    html = client.get(reverse("constitutions:version", args=["test", 1])).content.decode()
    version = newest(constitution)
    for words in ("Say what is true", "Why these rules.", "People act on answers.", "First.", version.digest, "strict"):
        assert words in html or words == "strict"
    assert "Point out where the response helps to track people." in html
    assert reverse("constitutions:principle", args=["test", 1, "honesty"]) in html


def test_the_download_is_the_digested_text_byte_for_byte(constitution: Constitution, client: Client) -> None:
    response = client.get(reverse("constitutions:canonical", args=["test", 1]))
    version = newest(constitution)
    assert hashlib.sha256(response.content).hexdigest() == version.digest
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="test-v1.json"'


def test_a_principle_has_a_page_at_its_version(constitution: Constitution, client: Client, author: User) -> None:
    edit_and_publish(constitution, author, text="Be honest.")
    first = client.get(reverse("constitutions:principle", args=["test", 1, "honesty"])).content.decode()
    second = client.get(reverse("constitutions:principle", args=["test", 2, "honesty"])).content.decode()
    assert '<p class="prompt matter" dir="auto">Say what is true' in first
    assert '<p class="prompt matter" dir="auto">Be honest.' in second
    assert "Principle 1 of 3 in Test v1" in first


def test_its_history_names_who_when_why_and_what(constitution: Constitution, client: Client, author: User) -> None:
    edit_and_publish(constitution, author, text="Say what is true and mark what is doubtful.", weight=2.0)
    edit_and_publish(constitution, author, key="privacy", text="Guard secrets.")
    actions.remove_principle(user=author, principle=principle_of(constitution, "honesty"))
    actions.publish_version(user=author, draft=draft_of(constitution), note="Honesty goes.")
    html = client.get(reverse("constitutions:principle", args=["test", 1, "honesty"])).content.decode()
    history = html[html.index("History") :]
    kinds = [part.split('"')[0] for part in history.split('data-change="')[1:]]
    assert kinds == ["removed", "edited", "added"]
    assert "<del>uncertain</del><ins>doubtful</ins>" in history
    assert "also changed: weight" in history
    assert "Because it was unclear." in history and "Honesty goes." in history


def test_restoring_asks_first_and_keeps_what_it_replaces(constitution: Constitution, author: User) -> None:
    client = signed_in(author)
    row = principle_of(constitution, "honesty")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Unpublished."})
    url = reverse("constitutions:restore_version", args=["test", 1])
    assert "changes that are not published" in client.get(url).content.decode()
    assert principle_of(constitution, "honesty").text == "Unpublished."
    client.post(url)
    assert principle_of(constitution, "honesty").text.startswith("Say what is true")
    assert "already says" in client.post(url, follow=True).content.decode()


@pytest.mark.parametrize("name", ["version", "principle", "detail", "canonical"])
def test_queries_do_not_grow_with_the_principles(author: User, client: Client, name: str) -> None:
    counts = []
    for size in (3, 60):
        made = big(author, size)
        wanted: dict[str, list[object]] = {"version": [1], "principle": [1, "p1"], "canonical": [1]}
        args = wanted.get(name, [])
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse(f"constitutions:{name}", args=[made.slug, *args])).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_words_do_no_harm(author: User, client: Client, attack: str) -> None:
    item = Principle(
        id="a",
        title=attack[:150],
        text=attack,
        rationale=attack,
        revision_request=attack,
        tags=(attack[:50],),
        negative_examples=(attack,),
    )
    made = make_constitution(author, name="Hostile", body=Body("x", preamble=attack, principles=(item,)))
    edit_and_publish(made, author, key="a", text=f"{attack} and {attack}")
    pages: dict[str, list[object]] = {"version": [2], "principle": [2, "a"], "detail": [], "compare": ["v1", "v2"]}
    for name, args in pages.items():
        html = client.get(reverse(f"constitutions:{name}", args=["hostile", *args])).content.decode()
        for raw in ("<script>alert", "<img src=x", "<svg/onload", "<ins>not", "\u202e", "\u2066", "\u200b"):
            assert raw not in html, name
