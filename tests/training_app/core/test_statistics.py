from __future__ import annotations

import math
import random

import pytest

from training_app.core.statistics import Estimate, bootstrap_mean, brier, expected_calibration_error, wilson


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
