from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.core.principles import Principle
from constitutions_app.models import Constitution
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(reader: User) -> Client:
    return signed_in(reader)


@pytest.fixture
def changed(constitution: Constitution, author: User) -> Constitution:
    """v1 against a draft in which something of every kind happened."""

    def edit(key: str, **changes: object) -> None:
        row = principle_of(constitution, key)
        actions.edit_principle(user=author, principle=row, expected=row.revision, changes=changes)

    edit("honesty", text="Say what is true and mark what is doubtful.")
    edit("kindness", weight=5.0)
    actions.remove_principle(user=author, principle=principle_of(constitution, "privacy"))
    actions.add_principle(user=author, draft=draft_of(constitution), title="Care", text="Take care.")
    actions.move_principle(user=author, principle=principle_of(constitution, "kindness"), to=0)
    draft = draft_of(constitution)
    actions.edit_preamble(user=author, draft=draft, expected=actions.text_revision(draft.preamble), text="Why those.")
    exemplar = draft_of(constitution).to_core().exemplars[0]
    draft = draft_of(constitution)
    actions.edit_exemplars(
        user=author,
        draft=draft,
        expected=actions.text_revision(draft.exemplars),
        exemplars=[replace(exemplar, critique="It is curt.")],
    )
    return constitution


def compare(client: Client, old: str, new: str, view: str = "") -> str:
    url = reverse("constitutions:compare", args=["test", old, new])
    response = client.get(url, {"view": view} if view else {})
    assert response.status_code == 200
    return response.content.decode()


def test_it_shows_every_kind_of_change(changed: Constitution, client: Client) -> None:
    html = compare(client, "v1", "draft")
    assert "1 added, 1 removed, 1 edited, 1 reweighted, 1 moved, preamble edited, 1 exemplar changed" in html
    for kind, anchor in (
        ("edited", "p-honesty"),
        ("removed", "p-privacy"),
        ("added", "p-care"),
        ("reweighted", "p-kindness"),
        ("edited", "preamble"),
        ("edited", "exemplar-1"),
    ):
        assert f'data-change="{kind}" data-step="change" id="{anchor}"' in html
    assert "<del>uncertain</del><ins>doubtful</ins>" in html
    assert "moved down from 1" in html
    assert "<del>2</del> <ins>5</ins>" in html
    assert "<del>rude</del><ins>curt</ins>" in html


def test_it_shows_what_is_sent_for_derived_wordings_too(changed: Constitution, client: Client) -> None:
    html = compare(client, "v1", "draft")
    assert "What is sent: critique 1 word, revision 1 word, comparison 1 word" in html
    assert "What is sent: critique gone, revision gone, comparison gone" in html


def test_the_other_way_round_adds_what_was_removed(changed: Constitution, client: Client) -> None:
    html = compare(client, "draft", "v1")
    assert 'data-change="added" data-step="change" id="p-privacy"' in html
    assert "<del>doubtful</del><ins>uncertain</ins>" in html


def test_side_by_side_keeps_each_text_whole(changed: Constitution, client: Client) -> None:
    html = compare(client, "v1", "draft", "side-by-side")
    assert "mark what is <del>uncertain</del>.</div>" in html
    assert "mark what is <ins>doubtful</ins>.</div>" in html


def test_nothing_to_show_says_so(constitution: Constitution, client: Client) -> None:
    assert "Nothing changed." in compare(client, "v1", "draft")
    assert "Both sides are the same." in compare(client, "draft", "draft")


def test_the_selects_lead_to_the_permanent_address(constitution: Constitution, client: Client) -> None:
    url = reverse("constitutions:choose_compare", args=["test"])
    permanent = reverse("constitutions:compare", args=["test", "draft", "v1"])
    assert client.get(url, {"old": "draft", "new": "v1"}).headers["Location"] == permanent
    for senseless in ({}, {"old": "v9", "new": "draft"}, {"old": "../x", "new": "//evil.example"}):
        assert client.get(url, senseless).headers["Location"] == reverse(
            "constitutions:compare", args=["test", "v1", "draft"]
        )


def test_before_the_first_version_the_draft_is_compared_with_itself(author: User, client: Client) -> None:
    make_constitution(author, name="Fresh", published=False)
    url = reverse("constitutions:choose_compare", args=["fresh"])
    assert client.get(url).headers["Location"] == reverse("constitutions:compare", args=["fresh", "draft", "draft"])


def test_its_queries_do_not_grow_with_the_principles(author: User, client: Client) -> None:
    counts = []
    for size in (3, 60):
        items = tuple(Principle(id=f"p{number}", title="", text=f"Text {number}.") for number in range(size))
        made = make_constitution(author, name=f"Size {size}", body=Body("x", principles=items))
        row = principle_of(made, "p0")
        actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Else."})
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse("constitutions:compare", args=[made.slug, "v1", "draft"])).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_open_threads_are_counted_at_their_principle(
    changed: Constitution, client: Client, author: User, reviewer: User
) -> None:
    for quote in ("true", "doubtful"):
        thread = actions.open_thread(
            user=reviewer, draft=draft_of(changed), key="honesty", field="text", quote=quote, body="Why?"
        )
    assert "Threads (2)" in compare(client, "v1", "draft")
    actions.resolve_thread(user=author, thread=thread)
    html = compare(client, "v1", "draft")
    assert "Threads (1)" in html and "/draft/review/#p-honesty" in html
    assert "Threads (" not in compare(client, "draft", "v1")
