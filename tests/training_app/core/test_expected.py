from __future__ import annotations

import pytest

from training_app.core.expected import (
    BadExpectations,
    Expectation,
    Hypothesis,
    Outcome,
    check_expectations,
    counted_in,
    hypotheses,
    outcomes,
    read_expectations,
)
from training_app.core.paired import Paired

WARM, TWIN, COLD = "warm", "twin", "professional"
SAID = [Expectation(WARM, "warmth", True), Expectation(TWIN, "warmth", True), Expectation(COLD, "professional", True)]


def measured(value: float, half: float, p: float) -> Paired:
    return Paired(value, None, (value - half, value + half), (value,), 64, p)


UNKNOWN = Paired(None, None, None, (), 0, None, "nothing")


def test_lines_name_a_side_and_what_its_text_asks_for() -> None:
    assert read_expectations(" a:b@3 : More  Warmth\n\nplain: less words ") == [
        Expectation("a:b@3", "warmth", True), Expectation("plain", "words", False)
    ]  # fmt: skip
    assert SAID[0].words == "more warmth" and read_expectations("") == []


@pytest.mark.parametrize(
    "line", ["warmth", ": more warmth", "a: warmth", "a: some warmth", "a: more very warmth", "a:"]
)
def test_other_lines_are_refused_with_their_number(line: str) -> None:
    with pytest.raises(BadExpectations, match="Line 2 is not of the form"):
        read_expectations(f"a: more warmth\n{line}")
    with pytest.raises(BadExpectations, match="21 lines"):
        read_expectations("a: more warmth\n" * 21)


def test_what_is_not_there_or_not_counted_is_refused() -> None:
    counted = counted_in({"evaluate": {"patterns": "zeal: zeal\\w*"}})
    assert counted[:3] == ["words", "evasive", "boilerplate"] and counted[-1] == "zeal"
    check_expectations([Expectation("a", "zeal", True)], ["a", "b"], counted)
    assert "warmth" in counted_in({"evaluate": {"patterns": "((("}}) and "warmth" in counted_in({})
    for one, arms, why in (
        (Expectation("c", "zeal", True), ["a", "b"], "no side “c”. There are: a, b."),
        (Expectation("a", "reward", True), ["a", "b"], "“reward” is not counted."),
        (Expectation("a", "zeal", True), ["a"], "one side alone"),
    ):
        with pytest.raises(BadExpectations, match=why):
            check_expectations([one], arms, counted)
    with pytest.raises(BadExpectations, match="stands twice"):
        check_expectations([Expectation("a", "zeal", True), Expectation("a", "zeal", False)], ["a", "b"], counted)


def test_sides_that_ask_for_the_same_are_a_placebo_and_others_are_to_differ() -> None:
    assert hypotheses(SAID, [(WARM, TWIN), (WARM, COLD), (TWIN, COLD)]) == [
        Hypothesis("warmth", TWIN, WARM, 0),
        Hypothesis("warmth", COLD, WARM, -1),
        Hypothesis("professional", COLD, WARM, 1),
        Hypothesis("warmth", COLD, TWIN, -1),
        Hypothesis("professional", COLD, TWIN, 1),
    ]
    against = [Expectation("a", "list", True), Expectation("b", "list", False)]
    assert hypotheses(against, [("a", "b")]) == [Hypothesis("list", "b", "a", -1)]
    assert hypotheses([], [("a", "b")]) == []


def test_those_that_are_to_differ_are_looked_at_together_and_the_placebo_by_itself() -> None:
    named = [Hypothesis("warmth", "b", "a", sign) for sign in (-1, 1, -1, 0, 0, 0, 1)]
    found = [
        measured(-0.7, 0.2, 0.001), measured(-0.6, 0.2, 0.002), measured(-0.3, 0.2, 0.03),
        measured(0.1, 0.3, 0.4), measured(0.2, 0.1, 0.04), UNKNOWN, UNKNOWN,
    ]  # fmt: skip
    assert outcomes(list(zip(named, found, strict=True))) == [
        Outcome.HOLDS, Outcome.OPPOSITE, Outcome.HOLDS, Outcome.ALIKE, Outcome.DIFFERS, Outcome.UNTOLD, Outcome.UNTOLD
    ]  # fmt: skip
    four = [(Hypothesis("warmth", "b", "a", 1), measured(0.3, 0.2, p)) for p in (0.03, 0.5, 0.6, 0.7)]
    assert outcomes(four) == [Outcome.NOT_SHOWN] * 4, "one of four may be at 0.03 by chance"
    assert outcomes([]) == []
