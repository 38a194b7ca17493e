from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.access import Role, get_draft_principle_for
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.core.principles import Principle
from constitutions_app.forms.principles import PrincipleForm
from constitutions_app.models import Constitution, DraftPrinciple, LedgerEntry
from constitutions_app.views import drafts
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db


def page(key: str = "honesty", slug: str = "test") -> str:
    return reverse("constitutions:draft_principle", args=[slug, key])


def autosave(client: Client, url: str, revision: object, **fields: Any) -> Any:
    """What autosave.js sends: the changed fields, their names, the revision, and its header."""
    names = ",".join(fields)
    sent = {name: value for name, value in fields.items() if value != []}
    return client.post(url, {**sent, "revision": str(revision), "changed": names}, headers={"X-Autosave": "1"})


@pytest.fixture
def client(author: User) -> Client:
    return signed_in(author)


def whole_form(constitution: Constitution, **changes: Any) -> dict[str, Any]:
    """What a browser without scripts sends: every field."""
    row = principle_of(constitution, "honesty")
    form = PrincipleForm(instance=row)
    values = {name: form[name].value() for name in form.fields}
    return {
        name: value
        for name, value in {**values, "revision": row.revision, **changes}.items()
        if value not in (None, False)
    }


class TestAutosave:
    def test_it_saves_only_what_changed(self, constitution: Constitution, client: Client) -> None:
        row = principle_of(constitution, "honesty")
        response = autosave(client, page(), row.revision, text="Be honest.")
        assert response.status_code == 200
        assert response.json()["revision"] == row.revision + 1
        assert "saved_at" in response.json()
        fresh = principle_of(constitution, "honesty")
        assert (fresh.text, fresh.rationale, fresh.tags) == ("Be honest.", row.rationale, row.tags)

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [
            ({"enabled": []}, {"enabled": False}),
            ({"strict": "on"}, {"strict": True}),
            ({"stages": ["label"]}, {"stages": ["label"]}),
            ({"stages": []}, {"stages": []}),
            ({"tags": "a,  b c , ,a"}, {"tags": ["a", "b c"]}),
            ({"weight": "2.5"}, {"weight": 2.5}),
            (
                {"positive_examples": "One.\n---\nTwo,\n\nwith a gap."},
                {"positive_examples": ["One.", "Two,\n\nwith a gap."]},
            ),
            ({"source_url": "example.org"}, {"source_url": "https://example.org"}),
        ],
    )
    def test_every_kind_of_control_is_understood(
        self, constitution: Constitution, client: Client, sent: dict[str, Any], stored: dict[str, Any]
    ) -> None:
        revision = principle_of(constitution, "honesty").revision
        assert autosave(client, page(), revision, **sent).status_code == 200
        fresh = principle_of(constitution, "honesty")
        assert {name: getattr(fresh, name) for name in stored} == stored

    def test_a_stale_save_gets_409_with_what_stands_there(self, constitution: Constitution, client: Client) -> None:
        row = principle_of(constitution, "honesty")
        other = signed_in(make_person("grace", Role.AUTHOR))
        assert autosave(other, page(), row.revision, text="Theirs.").status_code == 200
        response = autosave(client, page(), row.revision, text="Mine.")
        assert response.status_code == 409
        body = response.json()
        assert (body["by"], body["revision"], body["fields"]["text"]) == ("Grace", row.revision + 1, "Theirs.")
        assert set(body["fields"]) == set(PrincipleForm(instance=row).fields)
        assert body["fields"]["enabled"] == ["on"] and body["fields"]["strict"] == []
        assert autosave(client, page(), body["revision"], text="Mine.").status_code == 200

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("weight", "-1"),
            ("weight", "101"),
            ("weight", "nan"),
            ("weight", "inf"),
            ("weight", ""),
            ("weight", "heavy"),
            ("source_url", "javascript:alert(1)"),
            ("title", "x" * 201),
            ("text", "x" * 20_001),
            ("tags", "x" * 61),
            ("stages", ["rl"]),
            ("positive_examples", "x" * 20_001),
        ],
    )
    def test_an_unfit_value_gets_422_at_its_field(
        self, constitution: Constitution, client: Client, name: str, value: Any
    ) -> None:
        row = principle_of(constitution, "honesty")
        response = autosave(client, page(), row.revision, **{name: value})
        assert response.status_code == 422
        assert response.json()["errors"][name]
        assert principle_of(constitution, "honesty").revision == row.revision

    def test_a_principle_that_is_gone_gets_404(self, constitution: Constitution, client: Client, author: User) -> None:
        actions.remove_principle(user=author, principle=principle_of(constitution, "honesty"))
        assert autosave(client, page(), 1, text="x").status_code == 404

    def test_unknown_names_are_left_alone(self, constitution: Constitution, client: Client) -> None:
        row = principle_of(constitution, "honesty")
        assert autosave(client, page(), row.revision, key="stolen", draft="9").status_code == 200
        assert principle_of(constitution, "honesty").revision == row.revision

    @pytest.mark.parametrize("revision", ["", "x", "-1", "²", "9" * 30, "9" * 5000])
    def test_a_senseless_revision_is_stale(self, constitution: Constitution, client: Client, revision: str) -> None:
        assert autosave(client, page(), revision, text="x").status_code == 409

    def test_a_save_takes_the_same_queries_however_long_the_draft(self, author: User, client: Client) -> None:
        counts = []
        for size in (3, 60):
            items = tuple(Principle(id=f"p{number}", title=f"P {number}", text="x") for number in range(size))
            made = make_constitution(author, name=f"Size {size}", body=Body("x", principles=items))
            row = principle_of(made, "p1")
            with CaptureQueriesContext(connection) as queries:
                assert autosave(client, page("p1", made.slug), row.revision, text="y").status_code == 200
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 20


class TestWithoutScripts:
    def test_the_whole_form_is_saved(self, constitution: Constitution, client: Client) -> None:
        response = client.post(page(), whole_form(constitution, text="Be honest.", enabled=False))
        assert response.status_code == 302
        fresh = principle_of(constitution, "honesty")
        assert (fresh.text, fresh.enabled, fresh.tags) == ("Be honest.", False, ["honesty"])

    def test_fields_that_were_not_sent_keep_their_words(self, constitution: Constitution, client: Client) -> None:
        row = principle_of(constitution, "honesty")
        client.post(page(), {"text": "Be honest.", "revision": row.revision, "enabled": "on", "stages": row.stages})
        assert principle_of(constitution, "honesty").rationale == row.rationale

    def test_a_conflict_shows_both_and_a_second_save_keeps_mine(
        self, constitution: Constitution, client: Client
    ) -> None:
        sent = whole_form(constitution, text="Say my words.")
        other = make_person("grace", Role.AUTHOR)
        row = principle_of(constitution, "honesty")
        actions.edit_principle(user=other, principle=row, expected=row.revision, changes={"text": "Say their words."})
        response = client.post(page(), sent)
        html = response.content.decode()
        assert response.status_code == 409
        assert "Say my words." in html and "<del>their</del><ins>my</ins>" in html and "Grace" in html
        assert principle_of(constitution, "honesty").text == "Say their words."
        again = client.post(page(), {**sent, "revision": row.revision + 1})
        assert again.status_code == 302
        assert principle_of(constitution, "honesty").text == "Say my words."

    def test_errors_stand_at_their_field_and_words_are_kept(self, constitution: Constitution, client: Client) -> None:
        response = client.post(page(), whole_form(constitution, weight="heavy", text="Unsaved words."))
        assert response.status_code == 422
        assert "Unsaved words." in response.content.decode()
        assert "Enter a number" in response.content.decode()


class TestEditorPage:
    def test_readers_read_and_writers_edit(self, constitution: Constitution, client: Client, reader: User) -> None:
        url = reverse("constitutions:draft", args=["test"])
        assert client.get(url).headers["Location"] == page()
        html = signed_in(reader).get(url).content.decode()
        assert "Say what is true" in html
        assert "data-autosave" not in html
        assert signed_in(reader).get(page()).status_code == 403

    def test_an_empty_draft_begins_with_the_preamble(self, author: User, client: Client, reader: User) -> None:
        actions.create_constitution(user=author, name="Empty")
        url = reverse("constitutions:draft", args=["empty"])
        assert client.get(url).headers["Location"] == reverse("constitutions:draft_preamble", args=["empty"])
        assert "This draft is empty" in client.get(url, follow=True).content.decode()
        assert "No principle yet" in signed_in(reader).get(url).content.decode()

    def test_it_marks_what_changed_since_the_version(self, constitution: Constitution, client: Client) -> None:
        assert 'class="dot"' not in client.get(page()).content.decode()
        autosave(client, page(), principle_of(constitution, "honesty").revision, text="Be honest.")
        assert client.get(page("privacy")).content.decode().count('class="dot"') == 1

    def test_it_shows_what_is_sent(self, constitution: Constitution, client: Client) -> None:
        html = client.get(page("privacy")).content.decode()
        assert html.count("own words") == 1
        assert html.count("derived</span>") == 2
        response = client.post(
            reverse("constitutions:sent", args=["test", "privacy"]), {"text": "Guard secrets.", "critique_request": ""}
        )
        live = response.content.decode()
        assert live.count("Guard secrets") >= 3
        assert principle_of(constitution, "privacy").text != "Guard secrets."

    def test_its_queries_do_not_grow_with_the_draft(self, author: User, client: Client) -> None:
        counts = []
        for size in (3, 60):
            items = tuple(Principle(id=f"p{number}", title=f"P {number}", text="x") for number in range(size))
            made = make_constitution(author, name=f"Size {size}", body=Body("x", principles=items))
            with CaptureQueriesContext(connection) as queries:
                assert client.get(page("p1", made.slug)).status_code == 200
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 15

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_hostile_words_do_no_harm(
        self, constitution: Constitution, client: Client, author: User, reader: User, attack: str
    ) -> None:
        row = principle_of(constitution, "honesty")
        actions.edit_principle(
            user=author,
            principle=row,
            expected=row.revision,
            changes={
                "title": attack[:100],
                "text": attack,
                "rationale": attack,
                "source_document": attack[:100],
                "tags": [attack[:40]],
                "critique_request": attack,
                "positive_examples": [attack],
            },
        )
        draft = draft_of(constitution)
        actions.edit_preamble(
            user=author, draft=draft, expected=actions.text_revision(draft.preamble), text=f"Preamble {attack}"
        )
        pages = [client.get(page()), signed_in(reader).get(reverse("constitutions:draft", args=["test"]))]
        pages += [client.get(reverse(f"constitutions:{name}", args=["test"])) for name in ("draft_preamble", "detail")]
        for response in pages:
            html = response.content.decode()
            assert response.status_code == 200
            for raw in (
                "<script>alert",
                "<img src=x",
                "<svg/onload",
                "</textarea><img",
                "<ins>not",
                'href="javascript',
            ):
                assert raw not in html


class TestOrderAndRemoval:
    def test_moving_answers_a_page_or_the_outline_alone(self, constitution: Constitution, client: Client) -> None:
        url = reverse("constitutions:move_principle", args=["test", "honesty"])
        assert client.post(url, {"direction": "down"}).headers["Location"] == page()
        response = client.post(url, {"direction": "down"}, headers={"HX-Request": "true"})
        html = response.content.decode()
        assert 'id="outline"' in html and "<html" not in html
        assert "HX-Request" in response.headers["Vary"]
        assert "Principle 3 <" in html and "“Honesty” stands at place 3 of 3." in html
        assert page("kindness") in html.partition('id="standing"')[2] and 'value="3"' in html
        assert list(draft_of(constitution).principles.values_list("key", flat=True)) == [
            "privacy",
            "kindness",
            "honesty",
        ]

    def test_a_senseless_direction_moves_nothing(self, constitution: Constitution, client: Client) -> None:
        before = LedgerEntry.objects.count()
        url = reverse("constitutions:move_principle", args=["test", "honesty"])
        for said in ({"direction": "sideways"}, {"place": "0"}, {"place": "many"}, {}):
            answer = client.post(url, said)
            assert "Nothing was moved." in str(next(iter(get_messages(answer.wsgi_request))))
        assert LedgerEntry.objects.count() == before

    def test_removing_can_be_undone(self, constitution: Constitution, client: Client) -> None:
        response = client.post(reverse("constitutions:remove_principle", args=["test", "privacy"]))
        assert response.headers["Location"].startswith(page("kindness"))
        html = client.get(response.headers["Location"]).content.decode()
        seq = LedgerEntry.objects.order_by("-seq")[0].seq
        undo = reverse("constitutions:restore_removed", args=["test", seq])
        assert html.count(undo) == 2, "beside the notice and in the outline"
        assert client.post(undo).headers["Location"] == page("privacy")
        assert list(draft_of(constitution).principles.values_list("key", flat=True)) == [
            "honesty",
            "privacy",
            "kindness",
        ]
        assert undo not in client.get(page()).content.decode()

    def test_the_last_principle_can_go_too(self, author: User, client: Client) -> None:
        made = make_constitution(author, name="One", body=Body("x", principles=(Principle("a", "A", "x"),)))
        response = client.post(reverse("constitutions:remove_principle", args=[made.slug, "a"]))
        assert response.headers["Location"].startswith(reverse("constitutions:draft_preamble", args=[made.slug]))

    def test_adding_opens_the_new_one(self, constitution: Constitution, client: Client) -> None:
        response = client.post(reverse("constitutions:add_principle", args=["test"]), {"title": "Do no harm"})
        assert response.headers["Location"] == page("do-no-harm")
        too_long = client.post(reverse("constitutions:add_principle", args=["test"]), {"title": "x" * 201}, follow=True)
        assert "No principle was added" in too_long.content.decode()
        assert draft_of(constitution).principles.count() == 4


class TestPreambleAndExemplars:
    def test_the_preamble_is_autosaved(self, constitution: Constitution, client: Client) -> None:
        url = reverse("constitutions:draft_preamble", args=["test"])
        revision = actions.text_revision(draft_of(constitution).preamble)
        response = autosave(client, url, revision, preamble="Why.")
        assert response.json()["revision"] == actions.text_revision("Why.")
        stale = autosave(client, url, revision, preamble="Mine.")
        assert (stale.status_code, stale.json()["fields"]) == (409, {"preamble": "Why."})
        page = client.post(url, {"preamble": "Mine.", "revision": revision})
        assert page.status_code == 409
        assert "<del>Why</del><ins>Mine</ins>" in page.content.decode()
        assert autosave(client, url, revision, preamble="x" * 100_001).status_code == 422
        assert client.post(url, {"preamble": "x" * 100_001, "revision": revision}).status_code == 422
        assert draft_of(constitution).preamble == "Why."
        fresh = actions.text_revision("Why.")
        assert client.post(url, {"preamble": "Mine.", "revision": fresh}).status_code == 302
        assert draft_of(constitution).preamble == "Mine."

    def test_exemplars_are_autosaved_field_by_field(self, constitution: Constitution, client: Client) -> None:
        url = reverse("constitutions:draft_exemplars", args=["test"])
        assert "Like this." in client.get(url).content.decode()
        revision = actions.text_revision(draft_of(constitution).exemplars)
        response = autosave(client, url, revision, **{"0-critique": "It is curt."})
        assert response.status_code == 200
        assert draft_of(constitution).exemplars[0]["critique"] == "It is curt."
        assert draft_of(constitution).exemplars[0]["prompt"] == "How?"
        stale = autosave(client, url, revision, **{"0-critique": "Mine."})
        assert (stale.status_code, stale.json()["fields"]["0-critique"]) == (409, "It is curt.")
        page = client.post(url, {"0-critique": "It is mine.", "revision": revision})
        assert page.status_code == 409
        assert "<del>curt</del><ins>mine</ins>" in page.content.decode()
        fresh = response.json()["revision"]
        too_long = autosave(client, url, fresh, **{"0-critique": "x" * 20_001})
        assert list(too_long.json()["errors"]) == ["0-critique"]
        assert client.post(url, {"0-critique": "x" * 20_001, "revision": fresh}).status_code == 422
        assert client.post(url, {"0-critique": "It is mine.", "revision": fresh}).status_code == 302

    def test_exemplars_come_and_go(self, constitution: Constitution, client: Client) -> None:
        listed = reverse("constitutions:draft_exemplars", args=["test"])
        added = client.post(reverse("constitutions:add_exemplar", args=["test"]))
        assert added.headers["Location"] == f"{listed}#exemplar-2"
        remove = reverse("constitutions:remove_exemplar", args=["test", 1])
        client.post(remove, {"revision": "old"})
        assert len(draft_of(constitution).exemplars) == 2
        response = client.post(remove, {"revision": actions.text_revision(draft_of(constitution).exemplars)})
        assert len(draft_of(constitution).exemplars) == 1
        entry = LedgerEntry.objects.order_by("-seq")[0]
        assert json.loads(entry.body)["data"]["removed"]["prompt"] == "How?"
        assert f"?removed={entry.seq}" in response.headers["Location"]
        client.post(reverse("constitutions:restore_removed", args=["test", entry.seq]))
        assert draft_of(constitution).exemplars[0]["prompt"] == "How?"


@pytest.mark.parametrize("at", ["no such/place", "\x00", "é"])
def test_a_place_that_is_none_breaks_nothing(constitution: Constitution, author: User, at: str) -> None:
    client = signed_in(author)
    move = reverse("constitutions:move_principle", args=["test", "honesty"])
    assert client.post(move, {"direction": "down", "at": at}, headers={"HX-Request": "true"}).status_code == 200
    assert client.post(reverse("constitutions:undo", args=["test"]), {"at": at}).status_code == 302


def test_moving_what_somebody_removed_in_between_says_so(
    constitution: Constitution, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed_meanwhile(user: User, slug: str, key: str) -> DraftPrinciple:
        principle = get_draft_principle_for(user, slug, key)
        actions.remove_principle(user=user, principle=principle)
        return principle

    monkeypatch.setattr(drafts, "get_draft_principle_for", removed_meanwhile)
    answer = signed_in(author).post("/constitutions/test/draft/principles/privacy/move/", {"direction": "up"})
    assert answer.status_code == 302
    assert [str(message) for message in get_messages(answer.wsgi_request)] == [
        "“Privacy” was removed from the draft in the meantime."
    ]
