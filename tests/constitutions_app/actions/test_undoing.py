from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.core.principles import Exemplar
from constitutions_app.ledger import verify
from constitutions_app.models import Constitution
from tests.constitutions_app.factories import draft_of, make_person, principle_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(db: None) -> User:
    return make_person("grace", Role.AUTHOR)


def edit(user: User, constitution: Constitution, key: str = "honesty", **changes: Any) -> None:
    row = principle_of(constitution, key)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)


def undo(user: User, constitution: Constitution) -> actions.Undone:
    return actions.undo(user=user, draft=draft_of(constitution))


def redo(user: User, constitution: Constitution) -> actions.Undone:
    return actions.redo(user=user, draft=draft_of(constitution))


def text(constitution: Constitution) -> str:
    return principle_of(constitution, "honesty").text


def keys(constitution: Constitution) -> list[str]:
    return list(draft_of(constitution).principles.values_list("key", flat=True))


def test_saves_are_undone_one_by_one_and_done_again(constitution: Constitution, author: User) -> None:
    first = text(constitution)
    edit(author, constitution, text="Second.")
    edit(author, constitution, text="Third.", weight=2.0)
    assert undo(author, constitution).place == "honesty"
    assert (text(constitution), principle_of(constitution, "honesty").weight) == ("Second.", 1.0)
    undo(author, constitution)
    assert text(constitution) == first
    redo(author, constitution)
    redo(author, constitution)
    assert (text(constitution), principle_of(constitution, "honesty").weight) == ("Third.", 2.0)
    with pytest.raises(actions.Refused, match="undone nothing"):
        redo(author, constitution)
    assert verify().ok


def test_a_new_change_ends_what_could_be_done_again(constitution: Constitution, author: User) -> None:
    edit(author, constitution, text="Second.")
    undo(author, constitution)
    edit(author, constitution, text="Other.")
    with pytest.raises(actions.Refused):
        redo(author, constitution)
    undo(author, constitution)
    with pytest.raises(actions.Refused, match="changed nothing"):
        undo(author, constitution)


def test_only_ones_own_changes_are_undone(constitution: Constitution, author: User, other: User) -> None:
    edit(author, constitution, text="Ada's.")
    edit(other, constitution, key="privacy", text="Grace's.")
    undo(author, constitution)
    assert principle_of(constitution, "privacy").text == "Grace's."
    assert text(constitution) != "Ada's."


def test_words_others_wrote_around_it_stay(constitution: Constitution, author: User, other: User) -> None:
    edit(author, constitution, text="Say what is true, always, and mark what is uncertain.")
    edit(other, constitution, text="Say what is true, always, and mark clearly what is uncertain.")
    undo(author, constitution)
    assert text(constitution) == "Say what is true and mark clearly what is uncertain."


def test_it_refuses_where_others_changed_the_same_words(constitution: Constitution, author: User, other: User) -> None:
    edit(author, constitution, text="Say what holds and mark what is uncertain.")
    edit(other, constitution, text="Say what stands and mark what is uncertain.")
    with pytest.raises(actions.Refused, match="Grace changed the same words"):
        undo(author, constitution)
    assert text(constitution) == "Say what stands and mark what is uncertain."


def test_order_adding_copying_and_removing_are_undone(constitution: Constitution, author: User) -> None:
    before = keys(constitution)
    actions.move_principle(user=author, principle=principle_of(constitution, "honesty"), to=2)
    actions.remove_principle(user=author, principle=principle_of(constitution, "privacy"))
    copy = actions.duplicate_principle(user=author, principle=principle_of(constitution, "kindness"))
    actions.add_principle(user=author, draft=draft_of(constitution), title="New")
    states = [keys(constitution)]
    for _ in range(4):
        undo(author, constitution)
        states.append(keys(constitution))
    assert states[0] == ["kindness", copy.key, "honesty", "new"]
    assert states[-1] == before
    for expected in states[-2::-1]:
        redo(author, constitution)
        assert keys(constitution) == expected


def test_what_others_wrote_in_a_new_principle_is_not_taken_out(
    constitution: Constitution, author: User, other: User
) -> None:
    actions.add_principle(user=author, draft=draft_of(constitution), title="New")
    edit(other, constitution, key="new", text="Grace's.")
    with pytest.raises(actions.Refused, match="Grace has written"):
        undo(author, constitution)
    assert principle_of(constitution, "new").text == "Grace's."


def test_others_words_stay_also_under_ones_own_later_ones(
    constitution: Constitution, author: User, other: User
) -> None:
    actions.add_principle(user=author, draft=draft_of(constitution), title="New")
    edit(other, constitution, key="new", text="Grace's.")
    edit(author, constitution, key="new", rationale="Ada's.")
    undo(author, constitution)
    with pytest.raises(actions.Refused, match="Grace has written"):
        undo(author, constitution)
    assert principle_of(constitution, "new").text == "Grace's."


def test_a_copy_has_every_word_and_a_key_of_its_own(constitution: Constitution, author: User) -> None:
    original = principle_of(constitution, "honesty")
    copy = actions.duplicate_principle(user=author, principle=original)
    assert copy.key != original.key
    assert {**vars(copy.to_core()), "id": ""} == {**vars(original.to_core()), "id": ""}
    assert keys(constitution) == ["honesty", copy.key, "privacy", "kindness"]


def test_the_preamble_and_the_exemplars_are_undone_too(constitution: Constitution, author: User) -> None:
    draft = draft_of(constitution)
    preamble, exemplars = draft.preamble, draft.exemplars
    actions.edit_preamble(
        user=author, draft=draft, expected=actions.text_revision(preamble), text="Other reasons altogether."
    )
    wanted = [Exemplar(**{**exemplars[0], "critique": "It is curt."})]
    revision = actions.text_revision(exemplars)
    actions.edit_exemplars(user=author, draft=draft, expected=revision, exemplars=wanted)
    actions.add_exemplar(user=author, draft=draft)
    actions.remove_exemplar(
        user=author, draft=draft, expected=actions.text_revision(draft_of(constitution).exemplars), index=0
    )
    for _ in range(4):
        undo(author, constitution)
    assert (draft_of(constitution).preamble, draft_of(constitution).exemplars) == (preamble, exemplars)
    for _ in range(4):
        redo(author, constitution)
    assert draft_of(constitution).preamble == "Other reasons altogether."
    assert [one["prompt"] for one in draft_of(constitution).exemplars] == [""]
