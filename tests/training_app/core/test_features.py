"""Features that anybody can count, and patterns that cannot hang a stage."""

from __future__ import annotations

import time

import pytest

from training_app.core.config import EvaluateParams
from training_app.core.features import BUILT_IN, BadPatterns, count, features
from training_app.core.params import BadParams, checked_params


@pytest.mark.parametrize(
    ("name", "has", "has_not"),
    [
        ("short", "word " * 40, "word " * 41),
        ("short", "Yes.", ""),
        ("list", "Try:\n- soap\n- water", "Try this - or that.\n- only one"),
        ("list", "1. First\n2) Second", "In 1999.\nIn 2001."),
        ("question", "Do you want more? I have it.", "I have it."),
        ("question", "\u201cReally?\u201d", "what is it"),
        ("warmth", "Thank you for asking!", "Use soap."),
        ("warmth", "You\u2019re welcome.", "Thankless work."),
        ("professional", "See a doctor.", "See the doctorate."),
        ("professional", "Ask a licensed professional.", "Be professional."),
    ],
)
def test_a_feature_is_there_or_not(name: str, has: str, has_not: str) -> None:
    assert BUILT_IN[name](has)
    assert not BUILT_IN[name](has_not)


def test_patterns_are_counted_beside_the_built_in_ones() -> None:
    counted = features("sorry: \\bI'm sorry\\b\n\nnumber: [0-9]+")
    assert count("I'M SORRY, no.", counted)["sorry"]
    assert count("I'M SORRY, no.", counted)["number"] is False
    assert set(counted) == {*BUILT_IN, "sorry", "number"}


@pytest.mark.parametrize(
    "patterns",
    [
        "no colon",
        "Name: x",
        "a: (",
        "a: x\na: y",
        "short: x",
        "a: " + "x" * 301,
        "\n".join(f"n{n}: x" for n in range(11)),
    ],
)
def test_what_is_no_pattern_is_refused_with_its_name(patterns: str) -> None:
    with pytest.raises(BadPatterns):
        features(patterns)
    with pytest.raises(BadParams, match="patterns"):
        checked_params(EvaluateParams, {"patterns": patterns})


def test_a_pattern_that_takes_for_ever_counts_as_absent() -> None:
    counted = features(r"bomb: ^(a|aa)+$")
    began = time.monotonic()
    assert count("a" * 5000 + "!", counted)["bomb"] is False
    assert time.monotonic() - began < 5
