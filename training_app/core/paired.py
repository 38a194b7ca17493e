"""Two arms held against each other on the same prompts: differences, paired, over prompts and over seeds.

    d_qs = ours at prompt q with seed s  -  theirs at the same         n prompts, k seeds, every cell there
    difference      d.. = mean of all d_qs
    over prompts    bootstrap over q of d_q. = mean over s             would these runs differ so on other prompts?
    over both       d.. ± t · √((MS_q + MS_s) / (n · k))               would other runs, on other prompts?
                    MS_q = k · Σ_q (d_q. - d..)² / (n - 1)
                    MS_s = n · Σ_s (d_.s - d..)² / (k - 1)
                    t with (MS_q + MS_s)² / (MS_q² / (n - 1) + MS_s² / (k - 1)) degrees of freedom

Pairing takes out what a prompt does to both arms alike, which is most of the spread. Two runs of one text differ too,
by what was drawn while they were made; an interval over prompts knows nothing of that and would find a difference
between an arm and its placebo sooner or later. So what counts is the interval over both: Clark's min F' for effects
whose prompts and whose seeds are samples (1973, "The language-as-fixed-effect fallacy", Journal of Verbal Learning and
Verbal Behavior 12, 335-359), written as an interval; degrees of freedom after Satterthwaite (1946). It counts the
noise of single cells twice, so it is too wide where runs hardly lean; where their leaning is as large as that noise,
three seeds are so few that it is somewhat too narrow (`benchmarks/coverage.py` draws placebos and counts).

Many figures are looked at together, so what is called a difference holds for all of them at once: Holm's procedure
(1979, "A simple sequentially rejective multiple test procedure") over the figures of one pair of arms. Intervals are
plain 95% ones. What is left out: the prompts and seeds that one of the arms has not measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from training_app.core.statistics import LEVEL, bootstrap_mean

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

Values = Mapping[tuple[int, int], float]
"""(prompt, seed) → the value measured there."""

Interval = tuple[float, float]

RESAMPLES = 1000
MOST_SHARED = 1000
"""Prompts up to which draws are kept, so that the many figures of a page are resampled alike and at once."""


class Verdict(StrEnum):
    """What one difference comes to among those of its pair of arms."""

    HIGHER = "higher"
    LOWER = "lower"
    CHANCE = "chance"
    """Its own interval leaves out 0, but one of so many figures may do that by chance."""
    NONE = "none"
    UNTOLD = "untold"
    """Nothing is known of what chance does between runs, or nothing was measured."""


@dataclass(frozen=True)
class Paired:
    """A mean over prompts and seeds with its two intervals; what is undefined is None, and `note` says why.

    `by_seed` is in the order of the seeds; `p` is the probability of a mean so far from 0 by chance, over both.
    """

    value: float | None
    over_prompts: Interval | None
    over_both: Interval | None
    by_seed: tuple[float, ...]
    prompts: int
    p: float | None
    note: str = ""

    @property
    def at_most(self) -> float | None:
        """How far from 0 the truth may be, by the interval over both: what "no difference" leaves possible."""
        return max(map(abs, self.over_both)) if self.over_both else None


def paired_difference(ours: Values, theirs: Values, *, seed: int = 0, resamples: int = RESAMPLES) -> Paired:
    """Ours less theirs, over the prompts and seeds that both arms measured."""
    cells = {cell: value - theirs[cell] for cell, value in ours.items() if cell in theirs}
    if not cells:
        return Paired(None, None, None, (), 0, None, "no prompt was answered by both with the same seed")
    return crossed_mean(cells, seed=seed, resamples=resamples)


def crossed_mean(values: Values, *, seed: int = 0, resamples: int = RESAMPLES) -> Paired:
    """The mean of values that cross prompts with seeds, over the prompts measured with every seed that is taken."""
    prompts, seeds = whole_table(set(values))
    if not prompts:
        return Paired(None, None, None, (), 0, None, "there is nothing to average")
    n, k = len(prompts), len(seeds)
    at_prompt = [math.fsum(values[prompt, one] for one in seeds) / k for prompt in prompts]
    at_seed = tuple(math.fsum(values[prompt, one] for prompt in prompts) / n for one in seeds)
    mean = math.fsum(at_prompt) / n
    over_prompts = _over_prompts(at_prompt, seed=seed, resamples=resamples)
    if k == 1 or n == 1:
        note = "one seed does not tell what chance does between runs" if k == 1 else "one prompt has no interval"
        return Paired(mean, over_prompts, None, at_seed, n, None, note)
    over_both, p = _over_both(mean, _spread(at_prompt, mean, k), _spread(at_seed, mean, n), n, k)
    alike = len({values[prompt, one] for prompt in prompts for one in seeds}) == 1
    return Paired(mean, over_prompts, over_both, at_seed, n, p, "it is the same everywhere" if alike else "")


def whole_table(cells: set[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Prompts and seeds, in order, that make the largest table without a hole among the seeds measured most.

    While a run is still being evaluated it has answers to some prompts only; without it there may be more to compare.
    """
    of_seed: dict[int, set[int]] = {}
    for prompt, seed in cells:
        of_seed.setdefault(seed, set()).add(prompt)
    best: tuple[set[int], list[int]] = (set(), [])
    common: set[int] | None = None
    taken: list[int] = []
    for seed in sorted(of_seed, key=lambda one: (-len(of_seed[one]), one)):
        common = of_seed[seed] if common is None else common & of_seed[seed]
        taken.append(seed)
        if len(common) * len(taken) >= len(best[0]) * len(best[1]):
            best = common, list(taken)
    return tuple(sorted(best[0])), tuple(sorted(best[1]))


def verdicts(differences: Sequence[Paired], *, level: float = LEVEL) -> list[Verdict]:
    """What each difference of one pair of arms comes to, all of them looked at together (Holm)."""
    told = sorted((one.p, place) for place, one in enumerate(differences) if one.p is not None)
    found = [Verdict.UNTOLD] * len(differences)
    holds = True
    for rank, (p, place) in enumerate(told):
        holds = holds and p * (len(told) - rank) < 1 - level
        mean = differences[place].value or 0.0
        if holds:
            found[place] = Verdict.HIGHER if mean > 0 else Verdict.LOWER
        else:
            found[place] = Verdict.CHANCE if p < 1 - level else Verdict.NONE
    return found


def _over_prompts(means: Sequence[float], *, seed: int, resamples: int) -> Interval | None:
    """Percentile bootstrap over prompts, each of which comes with the mean of its seeds."""
    import numpy

    if len(means) == 1:
        return None
    if len(means) > MOST_SHARED:
        return bootstrap_mean(means, seed=seed, resamples=resamples).interval
    drawn = numpy.sort(_draws(len(means), seed, resamples) @ numpy.asarray(means, dtype=float)) / len(means)
    low, high = numpy.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


@lru_cache(maxsize=2)
def _draws(n: int, seed: int, resamples: int) -> NDArray[float64]:
    """How often each of n prompts appears in each resample, (resamples, n)."""
    import numpy

    return numpy.random.default_rng(seed).multinomial(n, [1 / n] * n, size=resamples).astype(float)


def _spread(means: Sequence[float], mean: float, repeats: int) -> float:
    """The mean square of a factor: of its levels' means, each over so many repeats."""
    return repeats * math.fsum((one - mean) ** 2 for one in means) / (len(means) - 1)


def _over_both(mean: float, of_prompts: float, of_seeds: float, n: int, k: int) -> tuple[Interval, float]:
    """The interval over both, and p, of a mean with these mean squares."""
    from scipy.special import stdtr, stdtrit

    together = of_prompts + of_seeds
    if together == 0:
        return (mean, mean), 0.0 if mean else 1.0
    error = math.sqrt(together / (n * k))
    freedom = together**2 / (of_prompts**2 / (n - 1) + of_seeds**2 / (k - 1))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return (mean - half, mean + half), float(2 * stdtr(freedom, -abs(mean) / error))
