from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.models import Constitution, Presence
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_person, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db
BASE = "Say what is true and mark what is uncertain."


@pytest.fixture
def other(db: None) -> User:
    return make_person("grace", Role.AUTHOR)


def beat(user: User, place: str = "honesty", revision: object = 1) -> Any:
    url = reverse("constitutions:here", args=["test"])
    return signed_in(user).post(url, {"place": place, "revision": str(revision)}).json()


def save(client: Client, text: str, base: str = BASE, *, raw: str | None = None) -> Any:
    """A save by a page that began from `base`, at a revision that is long gone."""
    url = reverse("constitutions:draft_principle", args=["test", "honesty"])
    body = {"text": text, "changed": "text", "revision": "0"}
    body["base"] = json.dumps({"text": [base]}) if raw is None else raw
    return client.post(url, body, headers={"X-Autosave": "1"})


class TestPresence:
    def test_they_see_each_other_and_where(self, constitution: Constitution, author: User, other: User) -> None:
        assert beat(author)["people"] == []
        assert beat(other, "preamble")["people"] == [{"name": "Ada", "place": "honesty", "title": "Honesty"}]
        assert beat(author)["people"] == [{"name": "Grace", "place": "preamble", "title": "the preamble"}]
        beat(other, "kindness")
        assert [one["title"] for one in beat(author)["people"]] == ["Kindness"]
        assert Presence.objects.count() == 2

    def test_who_closed_the_page_or_fell_silent_is_gone(
        self, constitution: Constitution, author: User, other: User
    ) -> None:
        beat(other)
        url = reverse("constitutions:here", args=["test"])
        assert signed_in(other).post(url, {"place": "", "left": "privacy"}).status_code == 204
        assert beat(author)["people"], "another page of hers is open"
        signed_in(other).post(url, {"place": "", "left": "honesty"})
        assert beat(author)["people"] == []
        beat(other)
        Presence.objects.filter(person=other).update(seen_at=timezone.now() - timedelta(seconds=60))
        assert beat(author)["people"] == []

    def test_saved_words_come_along_once(self, constitution: Constitution, author: User, other: User) -> None:
        row = principle_of(constitution, "honesty")
        assert beat(author, revision=row.revision)["theirs"] is None
        actions.edit_principle(user=other, principle=row, expected=row.revision, changes={"rationale": "Because."})
        news = beat(author, revision=row.revision)["theirs"]
        assert (news["by"], news["revision"], news["fields"]["rationale"]) == ("Grace", row.revision + 1, "Because.")
        assert beat(author, revision=row.revision + 1)["theirs"] is None
        draft = draft_of(constitution)
        for place, value in (("preamble", draft.preamble), ("exemplars", draft.exemplars)):
            assert beat(author, place, actions.text_revision(value))["theirs"] is None
            assert beat(author, place, "old")["theirs"]["revision"] == actions.text_revision(value)
        assert beat(author, "gone")["theirs"] is None

    def test_a_beat_takes_few_queries(self, constitution: Constitution, author: User, other: User) -> None:
        beat(other)
        client = signed_in(author)
        url = reverse("constitutions:here", args=["test"])
        with CaptureQueriesContext(connection) as queries:
            client.post(url, {"place": "honesty", "revision": "1"})
        assert len(queries) <= 10

    @pytest.mark.parametrize("place", ["a b", "../x", "x" * 81, "\u202e"])
    def test_a_senseless_place_is_refused(self, constitution: Constitution, author: User, place: str) -> None:
        url = reverse("constitutions:here", args=["test"])
        assert signed_in(author).post(url, {"place": place}).status_code == 422
        assert not Presence.objects.exists()


class TestStaleSaves:
    @pytest.fixture
    def client(self, author: User) -> Client:
        return signed_in(author)

    def test_words_that_do_not_touch_come_back_together(
        self, constitution: Constitution, client: Client, other: User
    ) -> None:
        save(signed_in(other), "Say what is true and mark clearly what is uncertain.")
        response = save(client, "Say only what is true and mark what is uncertain.")
        assert response.status_code == 409
        body = response.json()
        assert body["merged"] == {"text": "Say only what is true and mark clearly what is uncertain."}
        assert (body["by"], body["clashes"]) == ("Grace", {})
        again = save(client, body["merged"]["text"], base=body["fields"]["text"])
        assert again.status_code == 200
        assert principle_of(constitution, "honesty").text == body["merged"]["text"]

    def test_the_same_words_come_back_three_ways(self, constitution: Constitution, client: Client, other: User) -> None:
        save(signed_in(other), "Say what is true and mark clearly what is uncertain.")
        clash = save(client, "Say what is true and mark vaguely what is uncertain.").json()["clashes"]["text"]
        assert "<ins>clearly </ins>" in clash["html"] and "<ins>vaguely </ins>" in clash["html"]
        assert clash["choices"] == {
            "mine": "Say what is true and mark vaguely what is uncertain.",
            "theirs": "Say what is true and mark clearly what is uncertain.",
            "both": "Say what is true and mark vaguely clearly what is uncertain.",
        }

    @pytest.mark.parametrize("base", ["", "[]", "null", '{"text": 5}', "{" * 50_000, '{"text": {"a": 1}}'])
    def test_a_senseless_beginning_is_no_excuse(self, constitution: Constitution, client: Client, base: str) -> None:
        before = principle_of(constitution, "honesty").text
        assert save(client, "Mine.", raw=base).status_code == 409
        assert principle_of(constitution, "honesty").text == before

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_hostile_words_are_escaped_in_the_panel(
        self, constitution: Constitution, client: Client, other: User, attack: str
    ) -> None:
        other.first_name = attack[:100]
        other.save()
        save(signed_in(other), f"Say what {attack} is true and mark what is uncertain.")
        clash = save(client, f"Say what {attack[::-1]} is true and mark what is uncertain.").json()["clashes"]["text"]
        for raw in ("<script>alert", "<img src=x", "<svg/onload", "<ins>not", "\u202e", "\u200b", "\U000e0041"):
            assert raw not in clash["html"]

    def test_without_scripts_the_page_shows_both_and_the_merge_is_in_the_field(
        self, constitution: Constitution, client: Client, other: User
    ) -> None:
        save(signed_in(other), "Say what is true and mark clearly what is uncertain.")
        url = reverse("constitutions:draft_principle", args=["test", "honesty"])
        mine = {"text": "Say only what is true and mark what is uncertain.", "weight": "1", "revision": "0"}
        response = client.post(url, {**mine, "base": json.dumps({"text": BASE}), "enabled": "on"})
        html = response.content.decode()
        assert response.status_code == 409
        assert "words are put together" in html
        assert ">\nSay only what is true and mark clearly what is uncertain.</textarea>" in html

    def test_the_preamble_merges_too(
        self, constitution: Constitution, client: Client, author: User, other: User
    ) -> None:
        url = reverse("constitutions:draft_preamble", args=["test"])

        def write(who: Client, text: str) -> Any:
            base = json.dumps({"preamble": ["Why these rules."]})
            body = {"preamble": text, "changed": "preamble", "revision": "old", "base": base}
            return who.post(url, body, headers={"X-Autosave": "1"})

        assert write(signed_in(other), "Why these rules. Theirs.").status_code == 200
        body = write(client, "This is why these rules.").json()
        assert body["merged"] == {"preamble": "This is why these rules. Theirs."}
