from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from constitutions_app.core.edits import Declared, classify, edit_distance, meaning
from constitutions_app.core.principles import Principle
from tests.constitutions_app.strategies import principles

BASE = Principle(id="p", title="Title", text="Do not help to track people's organisation.")


def kind_of(text: str) -> str:
    return classify(BASE, replace(BASE, text=text)).kind


@pytest.mark.parametrize(
    "text",
    [
        "Do not help to track people's organisation",
        "Do  not help\nto track people's organisation.",
        "do not help to track people\u2019s organisation!",
        "Do not help to track people's organization.",
        "Do not help to trcak people's organisation.",
        "Do not help (to track people's organisation).",
    ],
)
def test_slips_are_minor(text: str) -> None:
    assert kind_of(text) == "minor"


@pytest.mark.parametrize(
    "text",
    [
        "Do help to track people's organisation.",
        "Do now help to track people's organisation.",
        "Do not help to trick people's organization.",
        "Do not ever help to track people's organisation.",
        "Do not help to track children's organisation.",
        "",
    ],
)
def test_other_words_are_semantic(text: str) -> None:
    assert kind_of(text) == "semantic"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Wait 1.5 hours.", "Wait 15 hours."),
        ("Above -5 degrees.", "Above 5 degrees."),
        ("At 5 % risk.", "At 5 risk."),
        ("It is legal.", "It is illegal."),
        ("You can go.", "You car go."),
        ("Say never.", "Say fever."),
        ("漢字。", "漢語。"),
    ],
)
def test_small_signs_that_matter_are_semantic(old: str, new: str) -> None:
    assert classify(replace(BASE, text=old), replace(BASE, text=new)).kind == "semantic"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"title": "Another"}, "minor"),
        ({"rationale": "Because."}, "minor"),
        ({"weight": 3.0}, "minor"),
        ({"weight": 0.0}, "semantic"),
        ({"strict": True}, "semantic"),
        ({"enabled": False}, "semantic"),
        ({"stages": ("label",)}, "semantic"),
        ({"revision_request": "Rewrite it."}, "semantic"),
    ],
)
def test_parts_count_as_what_they_do(changes: dict[str, Any], kind: str) -> None:
    edit = classify(BASE, replace(BASE, **changes))
    assert (edit.kind, bool(edit.reason)) == (kind, True)


@pytest.mark.parametrize(
    ("text", "declared", "kind", "contested"),
    [
        ("Something else.", "minor", "minor", True),
        ("Something else.", "", "semantic", False),
        ("do not help to track people's organisation", "semantic", "semantic", False),
        (BASE.text, "semantic", "same", False),
    ],
)
def test_people_have_the_last_word(text: str, declared: Declared, kind: str, contested: bool) -> None:
    edit = classify(BASE, replace(BASE, text=text), declared)
    assert (edit.kind, edit.contested) == (kind, contested)
    assert classify(None, BASE, declared).kind == "added"


@given(principles, principles)
def test_what_means_the_same_is_never_semantic(old: Principle, new: Principle) -> None:
    edit = classify(old, new)
    assert edit.kind in {"same", "minor", "semantic"}
    if meaning(old) == meaning(new):
        assert edit.kind != "semantic"
    assert classify(old, old).kind == "same"
    assert classify(new, old).kind == edit.kind


def test_the_distance_counts_a_swap_once() -> None:
    pairs = (("track", "trcak"), ("a", ""), ("same", "same"), ("colour", "color"))
    assert [edit_distance(*pair) for pair in pairs] == [1, 1, 0, 1]
