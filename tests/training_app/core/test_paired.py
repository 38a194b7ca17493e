from __future__ import annotations

import random

import pytest

from training_app.core.paired import paired_difference


def test_the_difference_is_the_mean_over_prompts_of_what_both_measured() -> None:
    """Prompt 1: (3-1 + 4-1)/2 = 2.5, prompt 2: 2-1 = 1, prompt 3 was answered by one arm alone."""
    ours = {(1, 7): 3.0, (1, 8): 4.0, (2, 7): 2.0, (3, 7): 9.0}
    theirs = {(1, 7): 1.0, (1, 8): 1.0, (2, 7): 1.0, (2, 8): 5.0}
    found = paired_difference(ours, theirs)
    assert found.estimate.value == pytest.approx(1.75)
    assert found.estimate.n == 2
    assert found.by_seed == pytest.approx((1.5, 3.0))


def noisy(
    effect: float, seeds: tuple[int, ...] = (1, 2, 3), prompts: int = 64, start: int = 0
) -> dict[tuple[int, int], float]:
    """Prompts differ far more from each other than the arms do."""
    shared = random.Random(5)
    of_prompt = [shared.gauss(0, 10) for _ in range(prompts)]
    own = random.Random(start)
    return {(p, s): of_prompt[p] + effect + own.gauss(0, 1) for p in range(prompts) for s in seeds}


def test_pairing_finds_what_prompts_would_hide_and_a_placebo_shows_nothing() -> None:
    base = noisy(0.0, start=1)
    found = paired_difference(noisy(0.8, start=2), base)
    assert found.is_one and found.estimate.interval is not None
    assert found.estimate.interval[0] < 0.8 < found.estimate.interval[1]
    assert not paired_difference(noisy(0.0, start=3), base).is_one


def test_seeds_that_point_different_ways_make_no_difference() -> None:
    base = noisy(0.0, seeds=(1, 2), start=1)
    mixed = {key: value + (3.0 if key[1] == 1 else -0.5) for key, value in base.items()}
    found = paired_difference(mixed, base)
    assert found.estimate.interval is not None and found.estimate.interval[0] > 0
    assert not found.is_one


def test_nothing_in_common_and_the_same_everywhere_are_said_in_words() -> None:
    nothing = paired_difference({(1, 7): 1.0}, {(1, 8): 1.0})
    assert nothing.estimate.value is None and "same seed" in nothing.estimate.note and not nothing.is_one
    same = paired_difference({(1, 7): 1.0, (2, 7): 2.0}, {(1, 7): 1.0, (2, 7): 2.0})
    assert (same.estimate.value, same.estimate.interval, same.is_one) == (0.0, (0.0, 0.0), False)
