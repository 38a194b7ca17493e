from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.core.principles import Exemplar, normalise
from constitutions_app.models import Constitution, Draft, DraftPrinciple, LedgerEntry
from tests.constitutions_app.factories import (
    EXEMPLAR,
    PRINCIPLES,
    draft_of,
    make_constitution,
    make_person,
    principle_of,
)
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db


def keys(constitution: Constitution) -> list[str]:
    return list(draft_of(constitution).principles.values_list("key", flat=True))


def last_entry() -> LedgerEntry:
    return LedgerEntry.objects.order_by("-seq")[0]


class TestEditing:
    def test_it_saves_counts_and_records(self, constitution: Constitution, author: User) -> None:
        row = principle_of(constitution, "honesty")
        draft = draft_of(constitution)
        saved = actions.edit_principle(
            user=author, principle=row, expected=row.revision, changes={"text": "Be honest.", "weight": 3.0}
        )
        assert (saved.text, saved.weight, saved.revision) == ("Be honest.", 3.0, row.revision + 1)
        fresh = principle_of(constitution, "honesty")
        assert (fresh.text, fresh.revision, fresh.updated_by) == ("Be honest.", row.revision + 1, author)
        assert draft_of(constitution).revision == draft.revision + 1
        assert last_entry().verb == "draft.edit_principle"

    def test_a_stale_save_is_refused_and_carries_what_stands_there(
        self, constitution: Constitution, author: User
    ) -> None:
        row = principle_of(constitution, "honesty")
        other = make_person("grace", Role.AUTHOR)
        actions.edit_principle(user=other, principle=row, expected=row.revision, changes={"text": "Theirs."})
        before = LedgerEntry.objects.count()
        with pytest.raises(actions.Conflict) as caught:
            actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Mine."})
        current = caught.value.current
        assert isinstance(current, DraftPrinciple)
        assert (current.text, current.updated_by) == ("Theirs.", other)
        assert principle_of(constitution, "honesty").text == "Theirs."
        assert LedgerEntry.objects.count() == before

    def test_a_save_that_is_delivered_twice_is_harmless(self, constitution: Constitution, author: User) -> None:
        row = principle_of(constitution, "honesty")
        for _ in range(2):
            saved = actions.edit_principle(
                user=author, principle=row, expected=row.revision, changes={"text": "Be honest."}
            )
        assert saved.revision == row.revision + 1
        assert LedgerEntry.objects.filter(verb="draft.edit_principle").count() == 1

    def test_a_save_that_changes_nothing_writes_nothing(self, constitution: Constitution, author: User) -> None:
        row, before = principle_of(constitution, "honesty"), LedgerEntry.objects.count()
        actions.edit_principle(
            user=author, principle=row, expected=row.revision, changes={"text": f"  {row.text}\r\n", "tags": row.tags}
        )
        assert principle_of(constitution, "honesty").revision == row.revision
        assert LedgerEntry.objects.count() == before

    def test_it_refuses_unfit_values_and_unknown_fields(self, constitution: Constitution, author: User) -> None:
        row = principle_of(constitution, "honesty")
        for changes in ({"title": "x" * 201}, {"weight": -1.0}, {"weight": 101.0}, {"source_url": "javascript:x"}):
            with pytest.raises(ValidationError):
                actions.edit_principle(user=author, principle=row, expected=row.revision, changes=changes)
        with pytest.raises(actions.Refused):
            actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"key": "other"})
        assert principle_of(constitution, "honesty").revision == row.revision

    def test_a_principle_that_was_removed_is_gone(self, constitution: Constitution, author: User) -> None:
        row = principle_of(constitution, "honesty")
        actions.remove_principle(user=author, principle=row)
        for attempt in (
            lambda: actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "x"}),
            lambda: actions.move_principle(user=author, principle=row, to=0),
            lambda: actions.remove_principle(user=author, principle=row),
        ):
            with pytest.raises(actions.Gone):
                attempt()

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_hostile_text_is_kept_as_it_is(self, constitution: Constitution, author: User, attack: str) -> None:
        row = principle_of(constitution, "honesty")
        actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": f"a {attack} b"})
        assert principle_of(constitution, "honesty").text == normalise(f"a {attack} b")


class TestAdding:
    def test_the_key_comes_from_the_title_and_is_never_reused(self, constitution: Constitution, author: User) -> None:
        draft = draft_of(constitution)
        first = actions.add_principle(user=author, draft=draft, title="Do no harm")
        second = actions.add_principle(user=author, draft=draft, title="Do no harm")
        actions.remove_principle(user=author, principle=principle_of(constitution, "honesty"))
        third = actions.add_principle(user=author, draft=draft, title="Honesty")
        assert [first.key, second.key, third.key] == ["do-no-harm", "do-no-harm-2", "honesty-2"]
        assert keys(constitution) == ["privacy", "kindness", "do-no-harm", "do-no-harm-2", "honesty-2"]

    @pytest.mark.parametrize("title", ["", "???", "规则", "<script>"])
    def test_any_title_gives_a_key(self, constitution: Constitution, author: User, title: str) -> None:
        row = actions.add_principle(user=author, draft=draft_of(constitution), title=title)
        assert row.key
        assert row.title == title


class TestRemovingAndRestoring:
    def test_a_removed_principle_comes_back_word_for_word_where_it_stood(
        self, constitution: Constitution, author: User
    ) -> None:
        before = draft_of(constitution).to_core()
        entry = actions.remove_principle(user=author, principle=principle_of(constitution, "privacy"))
        assert keys(constitution) == ["honesty", "kindness"]
        row = actions.restore_removed(user=author, draft=draft_of(constitution), entry=entry)
        assert row is not None
        assert draft_of(constitution).to_core() == before
        assert last_entry().verb == "draft.restore_principle"

    def test_an_old_page_cannot_overwrite_what_was_restored(self, constitution: Constitution, author: User) -> None:
        stale = principle_of(constitution, "privacy")
        entry = actions.remove_principle(user=author, principle=stale)
        row = actions.restore_removed(user=author, draft=draft_of(constitution), entry=entry)
        assert row is not None
        assert row.revision > stale.revision

    def test_it_refuses_to_restore_twice_or_from_another_entry(self, constitution: Constitution, author: User) -> None:
        entry = actions.remove_principle(user=author, principle=principle_of(constitution, "privacy"))
        other = make_constitution(author, name="Other")
        with pytest.raises(actions.Refused, match="another constitution"):
            actions.restore_removed(user=author, draft=draft_of(other), entry=entry)
        actions.restore_removed(user=author, draft=draft_of(constitution), entry=entry)
        with pytest.raises(actions.Refused, match="already"):
            actions.restore_removed(user=author, draft=draft_of(constitution), entry=entry)
        publish = LedgerEntry.objects.filter(verb="version.publish", object_id=str(constitution.pk)).get()
        with pytest.raises(actions.Refused, match="removed nothing"):
            actions.restore_removed(user=author, draft=draft_of(constitution), entry=publish)


class TestMoving:
    def test_it_moves_within_the_list_and_numbers_anew(self, constitution: Constitution, author: User) -> None:
        def move(key: str, to: int) -> bool:
            return actions.move_principle(user=author, principle=principle_of(constitution, key), to=to)

        assert move("kindness", 0)
        assert keys(constitution) == ["kindness", "honesty", "privacy"]
        assert move("kindness", 99)
        assert keys(constitution) == ["honesty", "privacy", "kindness"]
        assert not move("honesty", -5)
        assert list(draft_of(constitution).principles.values_list("position", flat=True)) == [1, 2, 3]
        assert LedgerEntry.objects.filter(verb="draft.move_principle").count() == 2

    def test_it_leaves_the_words_and_their_revision_alone(self, constitution: Constitution, author: User) -> None:
        before = principle_of(constitution, "kindness").revision
        actions.move_principle(user=author, principle=principle_of(constitution, "kindness"), to=0)
        assert principle_of(constitution, "kindness").revision == before


class TestPreambleAndExemplars:
    def test_the_preamble_is_saved_against_what_was_read(self, constitution: Constitution, author: User) -> None:
        draft = draft_of(constitution)
        read = actions.text_revision(draft.preamble)
        actions.edit_preamble(user=author, draft=draft, expected=read, text="Why.")
        with pytest.raises(actions.Conflict) as caught:
            actions.edit_preamble(user=author, draft=draft, expected=read, text="Why not.")
        assert isinstance(caught.value.current, Draft)
        assert caught.value.current.preamble == "Why."
        actions.edit_preamble(user=author, draft=draft, expected=read, text="Why.")
        assert LedgerEntry.objects.filter(verb="draft.edit_preamble").count() == 1

    def test_editing_a_principle_does_not_make_the_preamble_stale(
        self, constitution: Constitution, author: User
    ) -> None:
        draft = draft_of(constitution)
        row = principle_of(constitution, "honesty")
        actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Be honest."})
        read = actions.text_revision(draft.preamble)
        assert actions.edit_preamble(user=author, draft=draft, expected=read, text="Why.").preamble == "Why."

    def test_exemplars_are_added_edited_removed_and_restored(self, constitution: Constitution, author: User) -> None:
        draft = actions.add_exemplar(user=author, draft=draft_of(constitution))
        assert len(draft.exemplars) == 2
        second = Exemplar("Why?", "Because.", "What is wrong?", "It is curt.", "Rewrite it.", "Because of this.")
        read = actions.text_revision(draft.exemplars)
        draft = actions.edit_exemplars(user=author, draft=draft, expected=read, exemplars=[EXEMPLAR, second])
        assert draft.to_core().exemplars == (EXEMPLAR, second)
        with pytest.raises(actions.Conflict):
            actions.edit_exemplars(user=author, draft=draft, expected=read, exemplars=[second])
        with pytest.raises(actions.Conflict):
            actions.remove_exemplar(user=author, draft=draft, expected=read, index=0)
        entry = actions.remove_exemplar(
            user=author, draft=draft, expected=actions.text_revision(draft.exemplars), index=0
        )
        assert draft_of(constitution).to_core().exemplars == (second,)
        assert actions.restore_removed(user=author, draft=draft, entry=entry) is None
        assert draft_of(constitution).to_core().exemplars == (EXEMPLAR, second)

    def test_there_is_a_limit_to_exemplars(self, author: User) -> None:
        made = make_constitution(author, name="Many", published=False)
        for _ in range(19):
            actions.add_exemplar(user=author, draft=draft_of(made))
        with pytest.raises(actions.Refused, match="at most 20"):
            actions.add_exemplar(user=author, draft=draft_of(made))


def test_creating_from_a_body_repeats_it(author: User) -> None:
    made = make_constitution(author, name="Copy", published=False)
    assert draft_of(made).to_core().principles == PRINCIPLES
    assert json.loads(last_entry().body)["data"]["slug"] == "copy"


@pytest.mark.parametrize(("title", "key"), [("Preamble", "preamble-2"), ("exemplars", "exemplars-2")])
def test_no_principle_gets_the_name_of_another_part(
    constitution: Constitution, author: User, title: str, key: str
) -> None:
    assert actions.add_principle(user=author, draft=draft_of(constitution), title=title).key == key
