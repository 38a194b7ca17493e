"""Intervals and calibration for the numbers people decide by: never a bare rate, never NaN.

* a rate k/n: Wilson's score interval, ``(p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n)``, right at 0 and at n too;
* a mean: percentile bootstrap over the items (prompts, pairs), seeded, so the same data give the same interval;
* two independent rates: Newcombe's interval of their difference, Pearson's chi-squared test that there is none;
* calibration of a probability q against a target p in [0, 1]: Brier score ``mean((q - p)²)`` and expected calibration
  error ``Σ_bins |bin|/n · |mean q - mean p|`` (the paper's figure 9 shows the same comparison as a curve).

What is undefined (nothing to measure, one value only) is None with the reason in words. What is left out: agreement
between people (`agreement.py`) and paired intervals between runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95


FEWEST_EXPECTED = 5
"""Of a kind in a part, before a chi-squared test is believed."""


@dataclass(frozen=True)
class Tested:
    """How often a difference at least as large comes by chance where there is none; None, and then `note` says why."""

    p: float | None
    note: str = ""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; either may be None, and then `note` says why."""

    value: float | None
    interval: tuple[float, float] | None
    n: int
    note: str = ""

    def interval_list(self) -> list[float] | None:
        """The interval as JSON holds it."""
        return list(self.interval) if self.interval else None


def wilson(successes: float, n: int, *, level: float = LEVEL) -> Estimate:
    """The rate `successes` / `n` with Wilson's interval. Half successes (ties) are allowed."""
    if n == 0:
        return Estimate(None, None, 0, "there is nothing to count")
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials cannot be")
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate = successes / n
    centre = rate + z * z / (2 * n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Estimate(
        rate, (max(0.0, min(rate, (centre - half) / scale)), min(1.0, max(rate, (centre + half) / scale))), n
    )


def difference(one: Estimate, other: Estimate) -> Estimate:
    """`one` minus `other`, two independent rates with Wilson intervals: Newcombe's hybrid score interval (1998)."""
    if one.value is None or other.value is None or one.interval is None or other.interval is None:
        return Estimate(None, None, min(one.n, other.n), one.note or other.note or "one of the two has no interval")
    (low, high), (other_low, other_high) = one.interval, other.interval
    gap = one.value - other.value
    below = math.hypot(one.value - low, other_high - other.value)
    above = math.hypot(high - one.value, other.value - other_low)
    return Estimate(gap, (gap - below, gap + above), one.n + other.n)


def same_rate(one: int, n: int, other: int, m: int) -> Tested:
    """Whether `one` of `n` and `other` of `m`, counted independently, may be the same rate: Pearson's chi-squared test.

    ``χ² = (n + m) (one (m - other) - other (n - one))² / (n m (one + other) (n + m - one - other))``, one degree of
    freedom, no correction for continuity. Undefined where a count expected under one rate is below five (Cochran 1954).
    """
    if n == 0 or m == 0:
        return Tested(None, "one of the two has nothing to count")
    both, neither = one + other, n + m - one - other
    if both == 0 or neither == 0:
        return Tested(None, f"{'none' if both == 0 else 'all'} of both are counted, so the rates are the same")
    if min(n, m) * min(both, neither) / (n + m) < FEWEST_EXPECTED:
        return Tested(None, f"fewer than {FEWEST_EXPECTED} would be expected in the smaller part")
    from scipy.special import chdtrc  # only here: a page that has nothing to test does not wait for it

    chi_squared = (n + m) * (one * (m - other) - other * (n - one)) ** 2 / (n * m * both * neither)
    return Tested(float(chdtrc(1, chi_squared)))


def bootstrap_mean(values: Sequence[float], *, seed: int, resamples: int = 1000, level: float = LEVEL) -> Estimate:
    """The mean of `values` with a percentile bootstrap interval. Raises ValueError for a value that is not finite."""
    import numpy
    from scipy.stats import bootstrap

    if any(not math.isfinite(value) for value in values):
        raise ValueError("a mean needs finite values")
    if not values:
        return Estimate(None, None, 0, "there is nothing to average")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Estimate(mean, None, 1, "one value has no interval")
    result = bootstrap(
        (numpy.asarray(values, dtype=float),),
        numpy.mean,
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        rng=numpy.random.default_rng(seed),
    )
    return Estimate(mean, (float(result.confidence_interval.low), float(result.confidence_interval.high)), len(values))


def brier(predicted: Sequence[float], target: Sequence[float]) -> float | None:
    """Mean squared distance of predicted probabilities from their targets; None for no items."""
    if not predicted:
        return None
    return math.fsum((q - p) ** 2 for q, p in zip(predicted, target, strict=True)) / len(predicted)


def expected_calibration_error(predicted: Sequence[float], target: Sequence[float], *, bins: int = 10) -> float | None:
    """Distance of mean prediction and mean target, averaged over bins of equal width; None for no items."""
    if not predicted:
        return None
    members: list[list[tuple[float, float]]] = [[] for _ in range(bins)]
    for q, p in zip(predicted, target, strict=True):
        members[min(int(q * bins), bins - 1)].append((q, p))
    distances = (abs(math.fsum(q - p for q, p in part)) for part in members)
    return math.fsum(distances) / len(predicted)
