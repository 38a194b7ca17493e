"""Bootstrap intervals of figures that are functions of sums over items, for many data sets at a time.

Resampling n items with replacement draws how often each *distinct* kind of item appears: Multinomial(n, m / n) for
kinds that occur m times. A figure reads sums over items only, so one matrix product gives all resamples at once, and
the cost depends on the number of kinds, not on n.

Intervals are bias-corrected and accelerated (BCa: Efron 1987, "Better bootstrap confidence intervals"): kappa and its
kin are skewed near 1, where plain percentiles miss too often on one side. The acceleration comes from the jackknife,
which also needs each kind only once. Seeded: the same data give the same interval. How often they hold the truth is
measured in `benchmarks/coverage.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from training_app.core.statistics import LEVEL

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.random import Generator
    from numpy.typing import NDArray

    Features: TypeAlias = NDArray[float64]
    Figures: TypeAlias = Callable[[NDArray[float64]], NDArray[float64]]

FEWEST = 20
"""Items below which resampling says too little; then there is no interval."""

MOST_UNDEFINED = 0.02
"""Share of resamples in which a figure may be undefined before its interval is not given."""

TOO_FEW = f"an interval needs at least {FEWEST} items"
ALL_ALIKE = "all items turned out alike, so resampling cannot tell how far off this is; more items will"
TOO_RARE = "one category is so rare that the figure is undefined in many resamples; more items of it are needed"


@dataclass(frozen=True)
class Bounds:
    """For S data sets and G figures, each (S, G): the figures, their intervals, and what share was undefined."""

    value: NDArray[float64]
    low: NDArray[float64]
    high: NDArray[float64]
    undefined: NDArray[float64]


def intervals(
    items: NDArray[int64], features: Features, figures: Figures, *, seed: int, resamples: int
) -> list[tuple[float, tuple[float, float] | None, str]]:
    """Each figure with its 95% interval, or None and why, for one data set of `items` (U,) per kind.

    `features` (U, F) are what an item of each kind adds to the sums that `figures` (…, F) → (…, G) reads. A figure
    that is not defined comes as NaN; whoever calls says so in words.
    """
    import numpy

    total = int(items.sum())
    if total < FEWEST or len(items) < 2:
        note = TOO_FEW if total < FEWEST else ALL_ALIKE
        return [(float(value), None, note) for value in figures(items @ features)]
    found = bounds(items[None, :], features, figures, rng=numpy.random.default_rng(seed), resamples=resamples)
    rows = zip(found.value[0], found.low[0], found.high[0], found.undefined[0], strict=True)
    return [
        (float(value), None, TOO_RARE)
        if undefined > MOST_UNDEFINED
        else (float(value), None, ALL_ALIKE)
        if not low < high
        else (float(value), (float(low), float(high)), "")
        for value, low, high, undefined in rows
    ]


def bounds(
    items: NDArray[int64],
    features: Features,
    figures: Figures,
    *,
    rng: Generator,
    resamples: int,
    level: float = LEVEL,
) -> Bounds:
    """BCa bounds for data sets of `items` (S, U) per kind, all of the same kinds."""
    import numpy

    totals = items.sum(axis=1)
    drawn = rng.multinomial(totals[:, None], (items / totals[:, None])[:, None, :], size=(len(items), resamples))
    draws = numpy.sort(figures(drawn @ features), axis=1)  # (S, B, G); NaN last
    value = figures(items @ features)
    defined = numpy.isfinite(draws).sum(axis=1)
    low, high = (_at(draws, defined, share) for share in _shares(draws, value, items, features, figures, level))
    return Bounds(value, low, high, 1 - defined / resamples)


def _shares(
    draws: NDArray[float64],
    value: NDArray[float64],
    items: NDArray[int64],
    features: Features,
    figures: Figures,
    level: float,
) -> tuple[NDArray[float64], NDArray[float64]]:
    """At which shares of the sorted draws the interval begins and ends, each (S, G)."""
    import numpy
    from scipy.special import ndtr, ndtri

    defined = numpy.maximum(numpy.isfinite(draws).sum(axis=1), 1)
    below = (draws < value[:, None] - 1e-12).sum(axis=1) + (abs(draws - value[:, None]) <= 1e-12).sum(axis=1) / 2
    bias = ndtri(numpy.clip(below / defined, 1 / (2 * defined), 1 - 1 / (2 * defined)))
    skew = _acceleration(items, features, figures)
    z = ndtri((1 + level) / 2)
    begin, end = (ndtr(bias + (bias + side) / (1 - skew * (bias + side))) for side in (-z, z))
    return begin, end


def _acceleration(items: NDArray[int64], features: Features, figures: Figures) -> NDArray[float64]:
    """Efron's a (S, G) by the jackknife: leaving out one item of each kind, as often as that kind occurs."""
    import numpy

    without = figures((items @ features)[:, None, :] - features)  # (S, U, G)
    weight = numpy.where(numpy.isfinite(without), items[..., None], 0)
    without = numpy.where(numpy.isfinite(without), without, 0)
    mean = (weight * without).sum(axis=1) / numpy.maximum(weight.sum(axis=1), 1)
    away = mean[:, None] - without
    spread = (weight * away**2).sum(axis=1)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        skew = (weight * away**3).sum(axis=1) / (6 * spread**1.5)
    return numpy.where(spread > 0, skew, 0.0)


def _at(draws: NDArray[float64], defined: NDArray[int64], share: NDArray[float64]) -> NDArray[float64]:
    """The draws (S, B, G), sorted, at a share (S, G) of those that are defined, between neighbours linearly."""
    import numpy

    place = numpy.clip(share, 0, 1) * numpy.maximum(defined - 1, 0)
    lower = numpy.floor(place).astype(int)
    upper = numpy.minimum(lower + 1, numpy.maximum(defined - 1, 0))
    left, right = (numpy.take_along_axis(draws, one[:, None], axis=1)[:, 0] for one in (lower, upper))
    found: NDArray[float64] = left + (place - lower) * (right - left)
    return found
