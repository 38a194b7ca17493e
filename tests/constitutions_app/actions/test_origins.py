"""What becomes of saves that were made from words which have changed since, or whose answer was lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.models import Constitution, DraftPrinciple, LedgerEntry
from tests.constitutions_app.factories import make_person, principle_of

pytestmark = pytest.mark.django_db
BASE = "Say what is true and mark what is uncertain."
FIRST, SECOND = "first-save-1", "second-save-2"


@pytest.fixture
def other(db: None) -> User:
    return make_person("grace", Role.AUTHOR)


def save(
    user: User, constitution: Constitution, text: str, base: str = BASE, name: str = "", earlier: tuple[str, ...] = ()
) -> DraftPrinciple:
    """A save by a page that has not heard of anything since revision 1."""
    changes: dict[str, Any] = {"text": text}
    return actions.edit_principle(
        user=user,
        principle=principle_of(constitution, "honesty"),
        expected=1,
        changes=changes,
        origin=actions.Origin({"text": base}, name, earlier),
    )


def test_a_save_that_arrived_twice_is_saved_once_even_when_others_went_on(
    constitution: Constitution, author: User, other: User
) -> None:
    save(author, constitution, f"{BASE} Mine.", name=FIRST)
    save(other, constitution, f"{BASE} Mine, and theirs.", base=f"{BASE} Mine.")
    before = LedgerEntry.objects.count()
    row = save(author, constitution, f"{BASE} Mine.", name=FIRST)
    assert row.text == f"{BASE} Mine, and theirs."
    assert LedgerEntry.objects.count() == before


def test_words_typed_after_a_lost_answer_do_not_clash_with_ones_own(constitution: Constitution, author: User) -> None:
    save(author, constitution, f"{BASE} Mine.", name=FIRST)
    row = save(author, constitution, f"{BASE} Mine, longer.", name=SECOND, earlier=(FIRST,))
    assert row.text == f"{BASE} Mine, longer."


def test_without_its_name_the_same_save_is_a_conflict_that_keeps_both(
    constitution: Constitution, author: User, other: User
) -> None:
    save(other, constitution, "Say what is true and mark clearly what is uncertain.")
    with pytest.raises(actions.Conflict) as caught:
        save(author, constitution, "Say only what is true and mark what is uncertain.")
    assert caught.value.settled.merged == {"text": "Say only what is true and mark clearly what is uncertain."}
    with pytest.raises(actions.Conflict) as caught:
        save(author, constitution, "Say what is true and mark vaguely what is uncertain.")
    (clash,) = caught.value.settled.clashes
    assert "clearly" in clash.kept("both") and "vaguely" in clash.kept("both")
    assert principle_of(constitution, "honesty").text == "Say what is true and mark clearly what is uncertain."


def test_somebody_elses_save_name_proves_nothing(constitution: Constitution, author: User, other: User) -> None:
    save(other, constitution, "Theirs.", name=FIRST)
    with pytest.raises(actions.Conflict):
        save(author, constitution, "Mine.", name=SECOND, earlier=(FIRST,))


@pytest.mark.parametrize("name", ['x" OR "1"="1', "%_%_%_%_%", "", "short", "x" * 65, "\x00" * 9])
def test_a_senseless_name_is_no_name(constitution: Constitution, author: User, name: str) -> None:
    save(author, constitution, "Mine.", name=name)
    assert f'"save":"{name}"' not in LedgerEntry.objects.order_by("-seq")[0].body


def test_other_fields_are_saved_though_the_page_is_old(constitution: Constitution, author: User, other: User) -> None:
    save(other, constitution, "Theirs.")
    row = principle_of(constitution, "honesty")
    actions.edit_principle(
        user=author,
        principle=row,
        expected=row.revision - 1,
        changes={"rationale": "Mine."},
        origin=actions.Origin({"rationale": row.rationale}),
    )
    fresh = principle_of(constitution, "honesty")
    assert (fresh.text, fresh.rationale) == ("Theirs.", "Mine.")
