"""Branches, forks, merges, aliases, the graph and who wrote what, as pages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.histories import history_of
from constitutions_app.models import Constitution, Draft, Version
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import BODY, draft_of, make_constitution, make_person, newest, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(author: User) -> Client:
    return signed_in(author)


@pytest.fixture
def branch(constitution: Constitution, author: User) -> Draft:
    return actions.start_branch(user=author, version=newest(constitution), name="softer")


def edit(draft: Draft, user: User, key: str, **changes: Any) -> None:
    row = principle_of(draft.constitution, key, draft.branch)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)


def publish(draft: Draft, user: User, note: str = "A note.") -> Version:
    return actions.publish_version(user=user, draft=draft, note=note)


def conflicting(constitution: Constitution, author: User, ours: str, theirs: str) -> Version:
    edit(draft_of(constitution, "softer"), author, "honesty", text=f"Say what is {theirs} and mark what is uncertain.")
    edit(draft_of(constitution), author, "honesty", text=f"Say what is {ours} and mark what is uncertain.")
    return publish(draft_of(constitution, "softer"), author)


def test_a_branch_is_started_closed_and_reopened(constitution: Constitution, client: Client) -> None:
    start = reverse("constitutions:start_branch", args=["test", 1])
    assert client.post(start, {"name": "Softer tone"}).headers["Location"] == "/constitutions/test@softer-tone/draft/"
    again = client.post(start, {"name": "softer tone"})
    assert again.status_code == 422 and "There is a branch" in again.content.decode()
    client.post(reverse("constitutions:close_branch", args=["test@softer-tone"]))
    html = client.get(reverse("constitutions:versions", args=["test"])).content.decode()
    assert "closed" in html and "Reopen" in html
    assert client.get("/constitutions/test@softer-tone/draft/principles/honesty/").status_code == 403
    client.post(reverse("constitutions:reopen_branch", args=["test@softer-tone"]))
    assert client.get("/constitutions/test@softer-tone/draft/principles/honesty/").status_code == 200


def test_conflicts_are_decided_on_a_page_and_nothing_is_lost(
    branch: Draft, constitution: Constitution, author: User, client: Client
) -> None:
    version = conflicting(constitution, author, "<i>clear</i>", "<b>sure</b>")
    page = reverse("constitutions:merge", args=["test"])
    assert f'value="{version.pk}"' in client.get(page).content.decode()
    html = client.get(page, {"version": version.pk}).content.decode()
    assert "1 conflict to decide" in html and "Both last agreed at v1" in html
    assert "&lt;b&gt;" in html and "<b>sure" not in html
    key = "principles/honesty/text/1"
    body = {"version": version.pk, "revision": draft_of(constitution).revision, f"own-{key}": "my <u>own</u>"}
    refused = client.post(page, body)
    assert refused.status_code == 422
    assert "my &lt;u&gt;own&lt;/u&gt;" in refused.content.decode(), "what was written is kept"
    stale = client.post(page, body | {f"choice-{key}": "own", "revision": 0})
    assert stale.status_code == 422 and re.search(r'value="own" checked', stale.content.decode())
    done = client.post(page, body | {f"choice-{key}": "own"})
    assert done.headers["Location"] == reverse("constitutions:compare", args=["test", "v1", "draft"])
    assert principle_of(constitution, "honesty").text == "Say what is my <u>own</u> and mark what is uncertain."
    assert "It merges v2" in client.get(reverse("constitutions:publish", args=["test"])).content.decode()
    publish(draft_of(constitution), author)
    assert "from v1, merged v2" in client.get(reverse("constitutions:versions", args=["test"])).content.decode()


@pytest.mark.parametrize("version", ["", "x", "0", "999999", "1e9", "9" * 30])
def test_a_senseless_version_merges_nothing(
    branch: Draft, constitution: Constitution, client: Client, version: str
) -> None:
    page = reverse("constitutions:merge", args=["test"])
    assert client.post(page, {"version": version, "revision": "x"}).status_code == 200
    assert client.get(page, {"version": version}).status_code == 200
    assert draft_of(constitution).merging_id is None


def test_an_edited_principle_that_the_other_removed_is_asked_about(
    branch: Draft, constitution: Constitution, author: User, client: Client
) -> None:
    actions.remove_principle(user=author, principle=principle_of(constitution, "privacy", "softer"))
    edit(draft_of(constitution), author, "privacy", text="Ask first.")
    version = publish(draft_of(constitution, "softer"), author)
    page = reverse("constitutions:merge", args=["test"])
    html = client.get(page, {"version": version.pk}).content.decode()
    assert "one side edited it, the other removed it" in html and "<em>removed it</em>" in html
    revision = draft_of(constitution).revision
    client.post(page, {"version": version.pk, "revision": revision, "choice-principles/privacy": "theirs"})
    assert not draft_of(constitution).principles.filter(key="privacy").exists()


def test_a_fork_is_made_and_compared_with_its_origin(constitution: Constitution, author: User, client: Client) -> None:
    made = client.post(reverse("constitutions:fork", args=["test", 1]), {"name": "Our own"})
    assert made.headers["Location"] == "/constitutions/our-own/"
    fork = Constitution.objects.get(slug="our-own")
    edit(fork.draft, author, "honesty", text="Be honest.")
    address = reverse("constitutions:compare", args=["our-own", "test:v1", "draft"])
    assert address == "/constitutions/our-own/compare/test:v1..draft/"
    html = client.get(address).content.decode()
    assert "1 edited" in html and "test:v1" in html
    assert 'value="test:v1"' in html, "the selects offer the origin's versions"
    assert "Our own" in client.get(reverse("constitutions:versions", args=["test"])).content.decode()
    assert "forked from" in client.get(reverse("constitutions:versions", args=["our-own"])).content.decode()


def test_an_alias_is_an_address(constitution: Constitution, author: User, client: Client, reader: User) -> None:
    where = reverse("constitutions:alias", args=["test", "production"])
    assert where == "/constitutions/test/@production/"
    assert client.get(where).status_code == 404
    client.post(reverse("constitutions:move_alias", args=["test"]), {"name": "production", "number": "1"})
    response = signed_in(reader).get(where + "principles/honesty/?x=1")
    assert response.headers["Location"] == "/constitutions/test/v1/principles/honesty/?x=1"
    assert "no-store" in response.headers["Cache-Control"]
    assert client.get("/constitutions/test/@latest/").headers["Location"] == "/constitutions/test/v1/"
    html = client.get(reverse("constitutions:versions", args=["test"])).content.decode()
    assert "@production" in html and 'data-state="production"' in html and 'data-state="latest"' in html
    client.post(reverse("constitutions:move_alias", args=["test"]), {"name": "production"})
    assert client.get(where).status_code == 404
    for unfit in (
        {"name": "latest", "number": "1"},
        {"name": "x"},
        {"name": "", "number": "1"},
        {"name": "x", "number": "y"},
    ):
        assert client.post(reverse("constitutions:move_alias", args=["test"]), unfit).status_code == 302
    assert (
        client.post(reverse("constitutions:move_alias", args=["test"]), {"name": "x", "number": "9"}).status_code == 404
    )
    assert not constitution.aliases.exists()


@pytest.mark.parametrize("rest", ["//evil.example/", "../../x", "%0d%0aX: y", "?next=//evil.example"])
def test_an_alias_never_leads_elsewhere(constitution: Constitution, client: Client, rest: str) -> None:
    response = client.get(f"/constitutions/test/@latest/{rest}")
    assert response.headers.get("Location", "/constitutions/test/v1/").startswith("/constitutions/test/v1/")
    assert "X" not in response.headers


def test_the_graph_draws_every_branch_and_a_list_says_the_same(
    branch: Draft, constitution: Constitution, author: User, client: Client
) -> None:
    edit(branch, author, "honesty", text="Be honest.")
    side = publish(branch, author, "<script>alert(1)</script>")
    actions.merge_version(user=author, draft=draft_of(constitution), version=side, choices={})
    publish(draft_of(constitution), author)
    html = client.get(reverse("constitutions:versions", args=["test"])).content.decode()
    assert html.count('class="graph-dot"') == 5, "three versions and two drafts"
    assert html.count("data-merges") == 1
    assert 'aria-hidden="true" focusable="false"' in html
    assert "from v1, merged v2" in html
    assert "<script>alert(1)" not in html


class TestWhoWroteWhat:
    def test_words_belong_to_whoever_typed_them(self, constitution: Constitution, author: User, reader: User) -> None:
        eve = make_person("eve", Role.AUTHOR)
        edit(draft_of(constitution), eve, "honesty", text="Say only what is true and mark what is uncertain.")
        publish(draft_of(constitution), author, "Only.")
        edit(draft_of(constitution), author, "honesty", text="Say only what is true and mark what is doubtful.")
        found = dict(history_of(draft_of(constitution), "honesty").fields)["text"]
        assert [(run.text, run.label, run.person) for run in found] == [
            ("Say ", "v1", "Ada"),
            ("only ", "v2", "Eve"),
            ("what is true and mark what is ", "v1", "Ada"),
            ("doubtful", "draft", "Ada"),
            (".", "v1", "Ada"),
        ]
        moments = history_of(newest(constitution), "honesty").moments
        assert [(moment.kind, str(moment.version), moment.change, moment.typed_by) for moment in moments] == [
            ("edited", "v2", "semantic", ("Eve",)),
            ("added", "v1", "", ()),
        ]

    def test_a_branchs_words_come_in_with_the_branch(
        self, branch: Draft, constitution: Constitution, author: User
    ) -> None:
        edit(branch, author, "honesty", text="Always say what is true and mark what is uncertain.")
        side = publish(branch, author)
        edit(draft_of(constitution), author, "kindness", text="Be kind.")
        publish(draft_of(constitution), author)
        actions.merge_version(user=author, draft=draft_of(constitution), version=side, choices={})
        merged = publish(draft_of(constitution), author)
        found = dict(history_of(merged, "honesty").fields)["text"]
        assert [(run.text, run.label) for run in found][:1] == [("Always say ", "v2")]
        assert [moment.kind for moment in history_of(merged, "honesty").moments] == ["merged", "edited", "added"]

    def test_the_page_reads_by_keyboard_and_asks_a_constant_number_of_times(
        self, constitution: Constitution, author: User, client: Client
    ) -> None:
        counts = []
        for round_ in range(3):
            edit(draft_of(constitution), author, "honesty", text=f"Say what is true, {'very ' * round_}truly.")
            publish(draft_of(constitution), author)
            for address in ("/constitutions/test/draft", f"/constitutions/test/v{newest(constitution).number}"):
                with CaptureQueriesContext(connection) as queries:
                    html = client.get(f"{address}/principles/honesty/history/").content.decode()
                counts.append(len(queries))
            assert 'data-step="words"' in html and 'href="#test-v2"' in html and 'id="test-v2"' in html
        assert counts[2:4] == counts[4:6] and max(counts) <= 16, counts


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_words_come_back_escaped_everywhere(author: User, client: Client, attack: str) -> None:
    hostile = tuple(replace(item, title=attack[:100], text=f"{attack} {item.text}") for item in BODY.principles)
    made = make_constitution(author, name="Hostile", body=replace(BODY, principles=hostile, preamble=attack))
    other = actions.start_branch(user=author, version=newest(made), name="other")
    edit(other, author, "honesty", text=f"Other {attack}.")
    edit(draft_of(made), author, "honesty", text=f"{attack} ours.", rationale=attack)
    side = publish(draft_of(made, "other"), author, f"Why: {attack}")
    addresses = [
        "/constitutions/hostile/versions/",
        "/constitutions/hostile/compare/v1..draft/",
        "/constitutions/hostile/compare/v1..draft/?view=side-by-side",
        "/constitutions/hostile/v1/principles/honesty/history/",
        "/constitutions/hostile/draft/principles/honesty/history/",
        f"/constitutions/hostile/draft/merge/?version={side.pk}",
        "/constitutions/hostile/draft/merge/",
        "/constitutions/hostile/draft/publish/",
        "/constitutions/hostile/v2/",
    ]
    for address in addresses:
        response = client.get(address)
        html = response.content.decode()
        assert response.status_code == 200, address
        for bare in ("<script>alert", "<img src=x", "<svg/onload", "\u202e", "\u2066", "\u200b", "\U000e0041"):
            assert bare not in html, (address, bare)


def test_a_very_long_word_is_shown_and_bounded(author: User, client: Client) -> None:
    made = make_constitution(author, name="Long", body=replace(BODY, preamble="x" * 1_000_000))
    row = draft_of(made)
    actions.edit_preamble(
        user=author, draft=row, expected=actions.text_revision(row.preamble), text="y" * 1_000_000 + "\u202e"
    )
    html = client.get("/constitutions/long/compare/v1..draft/").content.decode()
    assert "\u202e" not in html and "1 change" in html
