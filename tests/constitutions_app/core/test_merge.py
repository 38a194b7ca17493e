from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutions_app.core.merge import Merge, Unresolved, Written, merge, merge_order, resolve
from constitutions_app.core.principles import Constitution, Exemplar, Principle, Source, canonical_json, from_json
from tests.constitutions_app.strategies import constitutions, edited


def principle(key: str, text: str = "", **rest: Any) -> Principle:
    return replace(Principle(id=key, title=key.upper(), text=text or f"Rule {key}."), **rest)


def constitution(*principles: Principle, **rest: Any) -> Constitution:
    return replace(Constitution("C", principles=principles), **rest)


def ids(merged: Merge) -> str:
    return "".join(item.id for item in merged.constitution.principles)


A, B, C, D = (principle(key) for key in "abcd")
BASE = constitution(A, B, C, D)


def test_each_side_edits_another_principle() -> None:
    ours = constitution(replace(A, text="Our rule a."), B, C, D)
    theirs = constitution(A, B, replace(C, weight=3.0), D)
    merged = merge(BASE, ours, theirs)
    assert merged.conflicts == ()
    assert merged.constitution == constitution(ours.principles[0], B, theirs.principles[2], D)


def test_both_sides_edit_different_words_and_fields_of_one_principle() -> None:
    base = constitution(principle("a", "Answer the question honestly.", tags=("x",)))
    ours = constitution(
        principle("a", "Always answer the question honestly.", tags=("x", "ours"), source=Source("UDHR"), weight=2.0)
    )
    theirs = constitution(
        principle("a", "Answer the question fully.", tags=("theirs",), strict=True, stages=("label",), weight=2.0)
    )
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    assert merged.constitution.principles == (
        principle(
            "a",
            "Always answer the question fully.",
            tags=("ours", "theirs"),
            source=Source("UDHR"),
            weight=2.0,
            strict=True,
            stages=("label",),
        ),
    )


def test_one_side_adds_and_removes_while_the_other_moves() -> None:
    new = principle("n")
    ours = constitution(A, new, B, D)
    theirs = constitution(D, A, B, C)
    merged = merge(BASE, ours, theirs)
    assert merged.conflicts == ()
    assert ids(merged) == "danb"


def test_both_sides_add() -> None:
    merged = merge(BASE, constitution(A, principle("y"), B, C, D), constitution(A, principle("x"), B, C, D))
    assert merged.conflicts == ()
    assert ids(merged) == "axybcd"


def test_both_sides_move_different_principles() -> None:
    merged = merge(BASE, constitution(B, C, D, A), constitution(A, D, B, C))
    assert ids(merged) == "dbca"


def test_an_edit_against_a_removal_is_a_conflict_and_nothing_is_removed_meanwhile() -> None:
    edited_b = replace(B, text="A better rule b.")
    merged = merge(BASE, constitution(A, C, D), constitution(A, edited_b, C, D))
    (conflict,) = merged.conflicts
    assert (conflict.key, conflict.kind, conflict.principle) == ("principles/b", "edited_or_removed", "b")
    assert (conflict.base, conflict.ours, conflict.theirs) == (B, None, edited_b)
    assert ids(merged) == "abcd"
    assert resolve(merged, {conflict.key: "ours"}).principles == (A, C, D)
    assert resolve(merged, {conflict.key: "theirs"}).principles == (A, edited_b, C, D)
    with pytest.raises(Unresolved, match="choose ours or theirs"):
        resolve(merged, {conflict.key: "both"})


def test_the_same_words_edited_in_two_ways_are_a_conflict_with_a_choice() -> None:
    base = constitution(principle("a", "Be kind to people."))
    ours, theirs = (constitution(principle("a", f"Be {word} to people.")) for word in ("gentle", "friendly"))
    merged = merge(base, ours, theirs)
    (conflict,) = merged.conflicts
    assert (conflict.key, conflict.field) == ("principles/a/text/1", "text")
    assert (conflict.base, conflict.ours, conflict.theirs) == ("kind", "gentle", "friendly")
    assert merged.texts["principles/a/text"].conflicts
    assert resolve(merged, {conflict.key: "theirs"}).principles[0].text == "Be friendly to people."
    assert resolve(merged, {conflict.key: Written("warm")}).principles[0].text == "Be warm to people."
    with pytest.raises(Unresolved, match="Without a choice: principles/a/text/1"):
        resolve(merged, {})
    with pytest.raises(Unresolved, match="no conflict 'other'"):
        resolve(merged, {conflict.key: "ours", "other": "ours"})


def test_two_weights_are_a_conflict_and_one_weight_twice_is_none() -> None:
    two, three = constitution(replace(A, weight=2.0)), constitution(replace(A, weight=3.0))
    (conflict,) = merge(constitution(A), two, three).conflicts
    assert (conflict.kind, conflict.base, conflict.ours, conflict.theirs) == ("value", 1.0, 2.0, 3.0)
    assert resolve(merge(constitution(A), two, three), {conflict.key: "base"}).principles == (A,)
    assert merge(constitution(A), two, two).conflicts == ()


def test_lists_of_examples_take_both_sides_changes() -> None:
    base = constitution(replace(A, positive_examples=("one", "two")))
    ours = constitution(replace(A, positive_examples=("two", "three")))
    theirs = constitution(replace(A, positive_examples=("one", "two", "four")))
    assert merge(base, ours, theirs).constitution.principles[0].positive_examples == ("two", "four", "three")


def test_a_name_that_both_sides_cut_to_nothing_is_a_conflict() -> None:
    base, ours, theirs = (Constitution(name) for name in ("kind rules", "kind", "rules"))
    (conflict,) = merge(base, ours, theirs).conflicts
    assert resolve(merge(base, ours, theirs), {conflict.key: "theirs"}).name == "rules"
    with pytest.raises(Unresolved, match="name would be empty"):
        resolve(merge(base, ours, theirs), {conflict.key: Written("")})


def test_exemplars_with_one_prompt_are_merged_by_word() -> None:
    def told(critique: str, revision: str) -> Constitution:
        return constitution(exemplars=(Exemplar("Q", "R", "CR", critique, "RR", revision),))

    merged = merge(told("bad", "good"), told("very bad", "good"), told("bad", "good now"))
    assert merged.conflicts == ()
    assert merged.constitution == told("very bad", "good now")


@given(constitutions, constitutions)
@settings(max_examples=50)
def test_merging_with_an_unchanged_side_gives_the_other(base: Constitution, other: Constitution) -> None:
    for merged in (merge(base, other, base), merge(base, base, other), merge(base, other, other)):
        assert merged.conflicts == ()
        assert merged.constitution == other
    assert merge(base, base, base).constitution == base


@given(edited(), constitutions)
@settings(max_examples=50)
def test_sides_can_be_exchanged(pair: tuple[Constitution, Constitution], theirs: Constitution) -> None:
    base, ours = pair
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert {(c.key, c.kind, repr((c.base, c.ours, c.theirs))) for c in one.conflicts} == {
        (c.key, c.kind, repr((c.base, c.theirs, c.ours))) for c in other.conflicts
    }
    assert resolve(one, {c.key: "ours" for c in one.conflicts}) == resolve(
        other, {c.key: "theirs" for c in other.conflicts}
    )


@given(edited(), constitutions)
@settings(max_examples=50)
def test_every_choice_gives_a_constitution_that_can_be_published(
    pair: tuple[Constitution, Constitution], theirs: Constitution
) -> None:
    base, ours = pair
    merged = merge(base, ours, theirs)
    for choice in ("ours", "theirs"):
        result = resolve(merged, {c.key: choice for c in merged.conflicts})
        assert from_json(canonical_json(result)) == result


@st.composite
def separate_edits(draw: st.DrawFn) -> tuple[Constitution, Constitution, Constitution]:
    """Two later states of a constitution; no principle is touched by both sides, and each word is unlike all others."""
    keys = [f"k{number}" for number in range(draw(st.integers(1, 8)))]
    base = [principle(key, f"Rule {key} says {key}x and {key}y.") for key in keys]
    sides: list[list[Principle]] = [[], []]
    for item in base:
        editor = draw(st.integers(-1, 1))
        edit = draw(st.sampled_from(["edit", "remove", "weigh", "tag"]))
        for side in (0, 1):
            if side != editor:
                sides[side].append(item)
            elif edit == "edit":
                sides[side].append(replace(item, text=item.text.replace("says", f"new{side}{item.id}")))
            elif edit == "weigh":
                sides[side].append(replace(item, weight=2.0))
            elif edit == "tag":
                sides[side].append(replace(item, tags=("t",)))
    for side in (0, 1):
        if draw(st.booleans()):
            sides[side].insert(draw(st.integers(0, len(sides[side]))), principle(f"added{side}"))
        sides[side] = list(draw(st.permutations(sides[side]))) if draw(st.booleans()) else sides[side]
    return constitution(*base), constitution(*sides[0]), constitution(*sides[1])


@given(separate_edits())
@settings(max_examples=80)
def test_edits_of_different_principles_never_conflict_and_lose_nothing(
    case: tuple[Constitution, Constitution, Constitution],
) -> None:
    base, ours, theirs = case
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    old = {item.id: item for item in base.principles}
    sides = [{item.id: item for item in side.principles} for side in (ours, theirs)]
    result = {item.id: item for item in merged.constitution.principles}
    for key in old | sides[0] | sides[1]:
        expected = next((side.get(key) for side in sides if side.get(key) != old.get(key)), old.get(key))
        assert result.get(key) == expected


orders = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(orders, orders, orders, st.sets(st.sampled_from("abcdefgh")))
def test_an_order_holds_every_kept_key_once_whichever_side_is_first(
    base: list[str], ours: list[str], theirs: list[str], kept: set[str]
) -> None:
    kept &= set(ours) | set(theirs)
    order = merge_order(base, ours, theirs, kept)
    assert sorted(order) == sorted(kept)
    assert order == merge_order(base, theirs, ours, kept)
    if base == ours and kept == set(theirs):
        assert order == theirs
