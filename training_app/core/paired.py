"""Two arms held against each other on the same prompts: differences, paired, with an interval over prompts.

    d_q = mean over common seeds of ours(q, seed)  -  the same of theirs        q: a prompt that both arms answered
    difference = mean_q d_q, its interval by bootstrap over the prompts

Pairing takes out what a prompt does to both arms alike, which is most of the spread. Seeds are not resampled: with the
three to five that people can afford, an interval over seeds would be a guess, so every seed's own difference is given
instead, and an effect is called one only where the interval leaves out 0 and all seeds point the same way. What is left
out: a correction for many metrics looked at together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from training_app.core.statistics import Estimate, bootstrap_mean

Values = Mapping[tuple[int, int], float]
"""(prompt, seed) → the value measured there."""


@dataclass(frozen=True)
class Difference:
    """Ours less theirs. `by_seed` in the order of the seeds; `n` of the estimate counts prompts."""

    estimate: Estimate
    by_seed: tuple[float, ...]

    @property
    def is_one(self) -> bool:
        """Whether the arms differ: the interval leaves out 0, and every seed points the same way."""
        interval = self.estimate.interval
        if interval is None or interval[0] <= 0 <= interval[1]:
            return False
        return len({value > 0 for value in self.by_seed}) == 1 and 0.0 not in self.by_seed


def paired_difference(ours: Values, theirs: Values, *, seed: int = 0, resamples: int = 2000) -> Difference:
    """The difference over what both arms measured at the same prompt with the same seed."""
    common = sorted(ours.keys() & theirs.keys())
    at_prompt: dict[int, list[float]] = {}
    at_seed: dict[int, list[float]] = {}
    for prompt, drawn in common:
        distance = ours[prompt, drawn] - theirs[prompt, drawn]
        at_prompt.setdefault(prompt, []).append(distance)
        at_seed.setdefault(drawn, []).append(distance)
    if not common:
        return Difference(Estimate(None, None, 0, "no prompt was answered by both with the same seed"), ())
    means = [_mean(at_prompt[prompt]) for prompt in sorted(at_prompt)]
    estimate = bootstrap_mean(means, seed=seed, resamples=resamples)
    if len(set(means)) == 1 and len(means) > 1:  # resampling equal values gives no interval of any use
        estimate = Estimate(means[0], (means[0], means[0]), len(means), "the difference is the same at every prompt")
    return Difference(estimate, tuple(_mean(at_seed[drawn]) for drawn in sorted(at_seed)))


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
