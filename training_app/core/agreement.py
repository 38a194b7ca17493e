"""How far people, and a judge and people, agree beyond chance: five figures, each with an interval, never NaN.

Items enter as *patterns*: how many ratings of each category an item got, and how many items got just that. No figure
asks for more, and two hundred thousand items are a few dozen patterns. With r_i ratings of item i, n_ik of them k:

* raw agreement ``p = mean over items with r_i > 1 of Σ_k n_ik (n_ik - 1) / (r_i (r_i - 1))``;
* Fleiss kappa ``(p - e) / (1 - e)``, ``e = Σ_k π_k²``, ``π_k`` the mean share of k over the items (Fleiss 1971; with
  unequal r_i as generalised by Gwet 2008);
* Gwet AC1: the same with ``e = Σ_k π_k (1 - π_k) / (K - 1)`` (Gwet 2008): it stays sensible when nearly all items are
  of one category, where kappa falls to zero or below;
* Krippendorff alpha, nominal, missing ratings allowed: ``1 - D_o / D_e`` over pairable ratings (Krippendorff 2011);
* Cohen kappa of two named raters: ``e = Σ_k row_k · column_k`` (Cohen 1960).

Intervals: bootstrap over items (`resampling.py`); raw agreement of two raters is a plain rate and has Wilson's. What
cannot be said is None with the reason in words. Nothing of this is taken from a library: `krippendorff` (GPL) gives no
intervals, `irrCAC` pins an old scipy and miscounts missing ratings, and none can resample in one go; the tests hold
these figures against published ones and scikit-learn's. What is left out: weights for ordered categories, and which of
two raters is right.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training_app.core.resampling import intervals
from training_app.core.statistics import Estimate, wilson

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from training_app.core.resampling import Features

    Array = NDArray[float64]

Patterns = Mapping[tuple[int, ...], int]
"""Ratings per category of one item → how many items were rated so."""
Cells = Mapping[tuple[int, int], int]
"""(first rater's category, second rater's category) → how many items."""

RAW, COHEN, FLEISS, ALPHA, AC1 = "raw", "cohen", "fleiss", "alpha", "ac1"
AMONG = (RAW, FLEISS, ALPHA, AC1)
BETWEEN = (RAW, COHEN, ALPHA, AC1)

NOTHING = "no item was rated twice"
ONE_CATEGORY = "everybody always chose the same, so there is nothing that chance could have missed"
ONE_OPTION = "there is only one category to choose"


@dataclass(frozen=True)
class Agreement:
    """`figures` by name; `items` with at least two ratings, `ratings` on those; each figure's n is `items`."""

    figures: Mapping[str, Estimate]
    items: int
    ratings: int


def patterns_of(rated: Iterable[Sequence[int]], categories: int) -> dict[tuple[int, ...], int]:
    """Items, each as the categories (0 … `categories` - 1) that its raters chose, as patterns."""
    found: Counter[tuple[int, ...]] = Counter()
    for chosen in rated:
        counts = Counter(chosen)
        found[tuple(counts.get(category, 0) for category in range(categories))] += 1
    return dict(found)


def agreement_among(patterns: Patterns, *, seed: int = 0, resamples: int = 2000) -> Agreement:
    """Agreement of any number of interchangeable raters. Raises ValueError for patterns of different lengths."""
    import numpy

    known = {pattern: items for pattern, items in sorted(patterns.items()) if sum(pattern) and items}
    if len({len(pattern) for pattern in known}) > 1:
        raise ValueError("all patterns should count the same categories")
    pairable = {pattern: items for pattern, items in known.items() if sum(pattern) > 1}
    items = sum(pairable.values())
    ratings = sum(sum(pattern) * count for pattern, count in pairable.items())
    if not items:
        return Agreement({name: Estimate(None, None, 0, NOTHING) for name in AMONG}, 0, 0)
    counts = numpy.array(list(known), dtype=float)
    found = intervals(
        numpy.array(list(known.values())), among_features(counts), among_figures, seed=seed, resamples=resamples
    )
    return Agreement(_estimates(AMONG, found, items, categories=counts.shape[1]), items, ratings)


def agreement_between(cells: Cells, categories: int, *, seed: int = 0, resamples: int = 2000) -> Agreement:
    """Agreement of two named raters, such as a judge and people, who both rated every item."""
    import numpy

    known = {cell: items for cell, items in sorted(cells.items()) if items}
    items = sum(known.values())
    if not items:
        return Agreement({name: Estimate(None, None, 0, NOTHING) for name in BETWEEN}, 0, 0)
    pairs = numpy.array(list(known))
    found = intervals(
        numpy.array(list(known.values())),
        between_features(pairs, categories),
        between_figures,
        seed=seed,
        resamples=resamples,
    )
    figures = _estimates(BETWEEN, found, items, categories=categories)
    agreed = sum(count for (one, other), count in known.items() if one == other)
    return Agreement(figures | {RAW: wilson(agreed, items)}, items, 2 * items)


def more_needed(estimate: Estimate, *, half_width: float = 0.1) -> int | None:
    """About how many more items make the interval ± `half_width`: it shrinks with √n. 0: it is that narrow already.

    None where there is no interval to go by.
    """
    if estimate.interval is None or estimate.n == 0:
        return None
    now = (estimate.interval[1] - estimate.interval[0]) / 2
    return max(0, math.ceil(estimate.n * (now / half_width) ** 2) - estimate.n) if now > half_width else 0


def among_features(counts: Array) -> Features:
    """What is summed over items, per pattern (U, 3 + 3K): rated, pairable, agreement, shares, o_kk, n_k."""
    import numpy

    rated = counts.sum(axis=1, keepdims=True)
    pairable = (rated > 1).astype(float)
    pairs = counts * (counts - 1)
    agreed = pairable * pairs.sum(axis=1, keepdims=True) / numpy.maximum(rated * (rated - 1), 1)
    same = pairable * pairs / numpy.maximum(rated - 1, 1)
    ones = numpy.ones_like(rated)
    return numpy.concatenate([ones, pairable, agreed, counts / rated, same, pairable * counts], axis=1)


def among_figures(sums: Array) -> Array:
    """`AMONG` (…, 4) from the sums of `among_features` (…, 3 + 3K); NaN where a figure is not defined."""
    import numpy

    categories = (sums.shape[-1] - 3) // 3
    rated, pairable, agreed = sums[..., 0], sums[..., 1], sums[..., 2]
    shares, same, chosen = (sums[..., 3 + place * categories : 3 + (place + 1) * categories] for place in range(3))
    with numpy.errstate(divide="ignore", invalid="ignore"):
        raw = agreed / pairable
        likely = shares / rated[..., None]
        return numpy.stack(
            [
                raw,
                _beyond(raw, (likely**2).sum(axis=-1)),
                _alpha(same, chosen),
                _beyond(raw, (likely * (1 - likely)).sum(axis=-1) / (categories - 1)),
            ],
            axis=-1,
        )


def between_features(pairs: NDArray[float64], categories: int) -> Features:
    """What is summed over items, per cell (U, 2K + K): rows, columns, and where both chose the same."""
    import numpy

    one = numpy.eye(categories)
    rows, columns = one[pairs[:, 0].astype(int)], one[pairs[:, 1].astype(int)]
    return numpy.concatenate([rows, columns, rows * columns], axis=1)


def between_figures(sums: Array) -> Array:
    """`BETWEEN` (…, 4) from the sums of `between_features` (…, 3K); NaN where a figure is not defined."""
    import numpy

    categories = sums.shape[-1] // 3
    rows, columns, same = (sums[..., place * categories : (place + 1) * categories] for place in range(3))
    items = rows.sum(axis=-1)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        raw = same.sum(axis=-1) / items
        chance = (rows * columns).sum(axis=-1) / items**2
        likely = (rows + columns) / (2 * items[..., None])
        return numpy.stack(
            [
                raw,
                _beyond(raw, chance),
                _alpha(2 * same, rows + columns),
                _beyond(raw, (likely * (1 - likely)).sum(axis=-1) / (categories - 1)),
            ],
            axis=-1,
        )


def _beyond(raw: Array, chance: Array) -> Array:
    """Agreement beyond chance; NaN where chance alone already agrees always."""
    import numpy

    return numpy.where(chance < 1 - 1e-12, (raw - chance) / (1 - chance), math.nan)


def _alpha(same: Array, chosen: Array) -> Array:
    """Krippendorff's alpha from coincidences o_kk (…, K) and marginals n_k (…, K)."""
    import numpy

    ratings = chosen.sum(axis=-1)
    observed = 1 - same.sum(axis=-1) / ratings
    expected = 1 - (chosen * (chosen - 1)).sum(axis=-1) / (ratings * (ratings - 1))
    return numpy.where(expected > 1e-12, 1 - observed / expected, math.nan)


def _estimates(
    names: Sequence[str],
    found: Sequence[tuple[float, tuple[float, float] | None, str]],
    items: int,
    *,
    categories: int,
) -> dict[str, Estimate]:
    undefined = ONE_OPTION if categories < 2 else ONE_CATEGORY
    return {
        name: Estimate(None, None, items, undefined) if math.isnan(value) else Estimate(value, interval, items, note)
        for name, (value, interval, note) in zip(names, found, strict=True)
    }
