from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from constitutions_app.core.diff import (
    DoesNotApply,
    Effort,
    apply,
    diff_constitutions,
    diff_wordings,
    rebuild,
)
from constitutions_app.core.principles import Constitution, Exemplar, Principle
from tests.constitutions_app.strategies import ATTACKS, constitutions, edited

RULES = {
    "honesty": "Say what is true and mark what is uncertain.",
    "privacy": "Do not help to track people who have not agreed to it.",
    "children": "Take special care where children may read the answer.",
    "law": "Do not help to break a law that protects others.",
    "kindness": "Treat the person as somebody who deserves patience.",
}


def constitution(*keys: str, **texts: str) -> Constitution:
    items = tuple(Principle(id=key, title=key.title(), text=texts.get(key, RULES.get(key, key))) for key in keys)
    return Constitution(name="Test", principles=items)


def kinds(old: Constitution, new: Constitution) -> dict[str, str]:
    return {change.item.id: change.kind for change in diff_constitutions(old, new).changed_principles}


@given(constitutions, constitutions)
def test_applying_a_diff_gives_the_new_constitution(old: Constitution, new: Constitution) -> None:
    assert apply(old, diff_constitutions(old, new)) == new


@given(edited())
def test_applying_a_diff_of_an_edited_constitution_gives_it(pair: tuple[Constitution, Constitution]) -> None:
    old, new = pair
    found = diff_constitutions(old, new)
    assert apply(old, found) == new
    assert (found.count == 0) == (old == new)
    assert (found.summary == "no changes") == (old == new)


@given(constitutions)
def test_nothing_changed_against_itself(one: Constitution) -> None:
    found = diff_constitutions(one, one)
    assert found.count == 0
    assert found.changed_principles == ()


def test_it_names_every_kind_of_change() -> None:
    old = constitution("honesty", "privacy", "children", "law", "kindness")
    new = replace(
        constitution("honesty", "kindness", "privacy", "fresh", "law", privacy="Do not help to surveil people."),
        preamble="Why these rules.",
    )
    new = replace(
        new, principles=tuple(replace(item, weight=2.0) if item.id == "law" else item for item in new.principles)
    )
    assert kinds(old, new) == {
        "privacy": "edited",
        "kindness": "moved",
        "fresh": "added",
        "law": "reweighted",
        "children": "removed",
    }
    summary = diff_constitutions(old, new).summary
    assert summary == "1 added, 1 removed, 1 edited, 1 reweighted, 1 moved, preamble edited"


def test_only_what_moved_is_reported_as_moved() -> None:
    old = constitution("honesty", "privacy", "children", "law", "kindness")
    new = constitution("kindness", "honesty", "privacy", "children", "law")
    assert kinds(old, new) == {"kindness": "moved"}


def test_what_only_shifts_because_others_come_and_go_has_not_moved() -> None:
    old = constitution("honesty", "privacy", "children", "law")
    new = constitution("fresh", "privacy", "children", "law")
    assert kinds(old, new) == {"honesty": "removed", "fresh": "added"}


def test_a_principle_that_moved_and_was_edited_is_counted_as_both() -> None:
    old = constitution("honesty", "privacy", "children")
    new = constitution("children", "honesty", "privacy", children="Take great care where children may read this.")
    found = diff_constitutions(old, new)
    assert found.summary == "1 edited, 1 moved"
    assert found.count == 1


def test_a_new_id_with_nearly_the_same_words_is_an_edit() -> None:
    old = constitution("honesty", "privacy")
    renamed = Principle(id="privacy-2", title="Privacy", text=RULES["privacy"] + " Ever.")
    new = replace(old, principles=(old.principles[0], renamed))
    (change,) = diff_constitutions(old, new).changed_principles
    assert (change.kind, change.old, change.new) == ("edited", old.principles[1], renamed)
    assert [part.name for part in change.fields] == ["id", "text"]


def test_a_new_id_with_other_words_is_a_removal_and_an_addition() -> None:
    assert kinds(constitution("honesty"), constitution("fresh")) == {"honesty": "removed", "fresh": "added"}


def test_a_removed_principle_stands_where_it_stood() -> None:
    old = constitution("honesty", "privacy", "children")
    new = constitution("honesty", "children")
    assert [change.item.id for change in diff_constitutions(old, new).principles] == ["honesty", "privacy", "children"]


def test_fields_that_are_not_text_are_shown_by_their_values() -> None:
    old = constitution("honesty")
    new = replace(old, principles=(replace(old.principles[0], enabled=False, tags=("a", "b")),))
    (change,) = diff_constitutions(old, new).changed_principles
    assert [(part.name, part.old, part.new, part.spans) for part in change.fields] == [
        ("tags", (), ("a", "b"), ()),
        ("enabled", True, False, ()),
    ]


def test_exemplars_are_matched_by_their_words() -> None:
    one = Exemplar("How?", "Like this.", "What is wrong?", "It is rude.", "Rewrite.", "Kindly like this.")
    two = replace(one, prompt="Why is the sky blue on most days?", response="Because of scattering of light.")
    old = replace(constitution(), exemplars=(one, two))
    new = replace(constitution(), exemplars=(replace(two, critique="It is curt."), one))
    found = diff_constitutions(old, new)
    assert sorted(change.kind for change in found.changed_exemplars) in (["edited"], ["edited", "moved"])
    assert apply(old, found) == new


def test_wordings_show_what_is_sent_derived_or_not() -> None:
    old = constitution("privacy").principles[0]
    new = replace(old, text="Do not help to surveil people.", revision_request="Rewrite it.")
    critique, revision, comparison = diff_wordings(old, new)
    assert rebuild(critique.spans, "new").endswith("Do not help to surveil people.")
    assert rebuild(revision.spans, "new") == "Rewrite it."
    assert comparison.changed_words > 0
    assert all(span.kind == "same" for part in diff_wordings(old, old) for span in part.spans)


def test_it_refuses_to_apply_to_another_constitution() -> None:
    found = diff_constitutions(constitution("honesty"), constitution("honesty", "law"))
    with pytest.raises(DoesNotApply):
        apply(constitution("honesty", "privacy"), found)
    edit = diff_constitutions(constitution("honesty"), constitution("honesty", honesty="Be honest."))
    with pytest.raises(DoesNotApply):
        apply(constitution("honesty", honesty="Lie."), edit)


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_text_is_carried_unchanged(attack: str) -> None:
    old, new = constitution("honesty"), constitution("honesty", honesty=attack)
    assert apply(old, diff_constitutions(old, new)) == new


def test_work_grows_with_what_changed() -> None:
    keys = [f"p{number}" for number in range(300)]
    body = " ".join(RULES.values())
    old = constitution(*keys, **{key: f"{body} {key}" for key in keys})
    changed = {key: f"{body} changed {key}" if number % 10 == 0 else f"{body} {key}" for number, key in enumerate(keys)}
    new = constitution(*keys, **changed)
    effort = Effort()
    assert diff_constitutions(old, new, effort).summary == "30 edited"
    assert Effort().steps - effort.steps < 20_000
