from __future__ import annotations

import math
import random

import pytest

from training_app.core.statistics import (
    Estimate,
    bootstrap_mean,
    brier,
    expected_calibration_error,
    same_rate,
    wilson,
)


@pytest.mark.xdist_group("scipy")
@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (1, 1), (3, 10), (70, 128), (999, 1000)])
def test_wilson_is_the_interval_scipy_computes(successes: int, n: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    estimate = wilson(successes, n)
    assert estimate.value == successes / n
    assert estimate.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_counts_a_tie_as_half() -> None:
    assert wilson(2.5, 5).value == 0.5


def test_nothing_to_measure_is_explained_not_nan() -> None:
    assert wilson(0, 0) == Estimate(None, None, 0, "there is nothing to count")
    assert bootstrap_mean([], seed=1) == Estimate(None, None, 0, "there is nothing to average")
    alone = bootstrap_mean([2.0], seed=1)
    assert (alone.value, alone.interval, alone.note) == (2.0, None, "one value has no interval")
    assert brier([], []) is None
    assert expected_calibration_error([], []) is None


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="finite"):
        bootstrap_mean([1.0, math.nan], seed=1)


def test_a_bootstrap_repeats_with_its_seed_and_holds_the_mean() -> None:
    draw = random.Random(3)
    values = [draw.gauss(0.4, 1.0) for _ in range(80)]
    one, again, other = (bootstrap_mean(values, seed=seed) for seed in (5, 5, 6))
    assert one == again
    assert one.interval != other.interval
    assert one.interval is not None and one.value is not None
    assert one.interval[0] < one.value < one.interval[1]
    assert 0.25 < one.interval[1] - one.interval[0] < 0.65


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert bootstrap_mean([3.0] * 9, seed=1).interval_list() == [3.0, 3.0]


def test_calibration_by_hand() -> None:
    assert brier([0.9, 0.2], [1.0, 0.0]) == pytest.approx((0.01 + 0.04) / 2)
    assert expected_calibration_error([0.9, 0.95, 0.2], [1.0, 0.0, 0.0]) == pytest.approx((0.85 + 0.2) / 3)
    assert expected_calibration_error([1.0], [1.0]) == 0.0


def test_soft_targets_that_are_predicted_exactly_are_perfectly_calibrated() -> None:
    p = [0.1, 0.35, 0.62, 0.97]
    assert brier(p, p) == 0.0
    assert expected_calibration_error(p, p) == 0.0


@pytest.mark.parametrize(
    ("one", "n", "other", "m"), [(40, 100, 10, 100), (12, 90, 9, 81), (7, 12, 900, 1700), (5, 10, 5, 10)]
)
def test_two_rates_are_tested_as_scipy_tests_a_table(one: int, n: int, other: int, m: int) -> None:
    from scipy.stats import chi2_contingency

    expected = chi2_contingency([[one, n - one], [other, m - other]], correction=False).pvalue
    assert same_rate(one, n, other, m).p == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [((0, 0, 4, 9), "nothing to count"), ((0, 9, 0, 90), "none of both"), ((9, 9, 90, 90), "all of both"),
     ((4, 9, 2, 90), "fewer than 5")],
)  # fmt: skip
def test_rates_that_cannot_be_tested_say_why(counts: tuple[int, int, int, int], reason: str) -> None:
    found = same_rate(*counts)
    assert found.p is None and reason in found.note


def test_a_difference_by_chance_is_found_as_often_as_the_test_says() -> None:
    rng = random.Random(3)
    drawn = [[sum(rng.random() < 0.3 for _ in range(80)) for _ in range(2)] for _ in range(1000)]
    found = sum(1 for one, other in drawn if (same_rate(one, 80, other, 80).p or 0) < 0.05)
    assert 30 <= found <= 70
