"""Whether p(A) means what it says: of the items a judge gives 0.8, do people prefer A in 80 of 100?

p(A) q_i in [0, 1] is held against what people chose, y_i = 1 for A and 0 for B:

* the curve: per bin of q (ten of equal width), the mean of q against the share of A, with Wilson's interval;
* expected calibration error ``Σ_bins |bin| / n · |mean q - mean y|``: never negative, and too large for few items,
  because chance alone moves each bin; read it with n beside it;
* Brier score ``mean((q - y)²)`` with a bootstrap interval over items: 0.25 is what always saying 0.5 gets.

What is left out: items on which people preferred neither (there is no y), and mending p(A).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training_app.core.statistics import Estimate, wilson

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

BINS = 10
FEWEST_FOR_ECE = 100
"""Items below which chance alone makes an ECE of several hundredths."""


@dataclass(frozen=True)
class Bin:
    """Items whose p(A) lies in [low, high): how many, their mean p(A), and the share people gave to A."""

    low: float
    high: float
    mean: float
    chosen: Estimate


@dataclass(frozen=True)
class Calibration:
    """The curve, and both figures over all n items; None with the reason where there is nothing."""

    bins: tuple[Bin, ...]
    ece: Estimate
    brier: Estimate


def calibrate(p_a: Sequence[float], chose_a: Sequence[bool], *, seed: int = 0) -> Calibration:
    """Hold p(A) against people's choices, one of each an item. Raises ValueError where the lengths differ."""
    import numpy

    said, chosen = numpy.asarray(p_a, dtype=float), numpy.asarray(chose_a, dtype=float)
    if said.shape != chosen.shape:
        raise ValueError(f"{len(said)} probabilities and {len(chosen)} choices")
    if not len(said):
        nothing = Estimate(None, None, 0, "no item has both a p(A) and a choice between A and B")
        return Calibration((), nothing, nothing)
    place = numpy.minimum((said * BINS).astype(int), BINS - 1)
    counts, sums, taken = (
        numpy.bincount(place, weights=values, minlength=BINS) for values in (numpy.ones_like(said), said, chosen)
    )
    bins = tuple(
        Bin(at / BINS, (at + 1) / BINS, float(sums[at] / counts[at]), wilson(float(taken[at]), int(counts[at])))
        for at in numpy.flatnonzero(counts).tolist()
    )
    ece = float(numpy.abs(sums - taken).sum() / len(said))
    note = "" if len(said) >= FEWEST_FOR_ECE else "few items: chance alone makes it this large or larger"
    return Calibration(bins, Estimate(ece, None, len(said), note), _mean((said - chosen) ** 2, seed))


def _mean(values: NDArray[float64], seed: int) -> Estimate:
    """A mean with its percentile bootstrap interval, drawn in pieces so that many items need little memory."""
    import numpy

    if len(values) < 2:
        return Estimate(float(values.mean()), None, len(values), "one item has no interval")
    rng = numpy.random.default_rng(seed)
    levels, counts = numpy.unique(values.round(4), return_counts=True)
    shares = counts / counts.sum()
    means = [float(rng.multinomial(len(values), shares) @ levels) / len(values) for _ in range(1000)]
    low, high = numpy.quantile(means, (0.025, 0.975))
    return Estimate(float(values.mean()), (float(low), float(high)), len(values))
