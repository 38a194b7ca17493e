"""Whether choices follow side, length or order."""

from __future__ import annotations

from training_app.core.bias import Chosen, bias_of, orders_of


def test_side_and_length_are_counted_where_they_differ() -> None:
    choices = [
        Chosen("a", "a", 9, 5, 3), Chosen("b", "a", 9, 5, 5), Chosen("b", "b", 2, 8, 4), Chosen("a", "b", 4, 4, None),
        Chosen("neither", "a", 1, 2, 60), Chosen("a", "", 1, 2, None),
    ]  # fmt: skip
    bias = bias_of(choices)
    assert (bias.side.value, bias.side.n) == (0.5, 4)
    assert (bias.length.value, bias.length.n) == (0.5, 4)
    assert bias.seconds == (3.5, 4.0, 4.5) and bias.timed == 3


def test_nothing_to_count_says_so() -> None:
    bias = bias_of([Chosen("neither", "a", 1, 2, 3)])
    assert bias.side.value is None and bias.side.note and bias.seconds is None


def test_a_judge_that_sticks_to_a_place_is_seen() -> None:
    sticks = orders_of([(0.9, 0.2, 5, 9), (0.8, 0.1, 9, 5)])
    assert sticks.same_position.value == 1.0 and sticks.first_place.value == 1.0
    reads = orders_of([(0.9, 0.8, 9, 5), (0.1, 0.2, 5, 9), (0.5, 0.5, 5, 5)])
    assert reads.same_position.value == 0.0 and reads.first_place.value == 0.5 and reads.length.value == 1.0
