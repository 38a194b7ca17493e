"""How often the intervals of agreement, and those between arms, hold the truth: 95 of 100 is what they promise.

For each design (who rates, how right they are, how common each category is, how many items) data sets are drawn from a
population whose figures are known exactly, and the share of intervals that hold them is counted, for every figure.
Data sets in which an interval is not given (all items alike, too few defined resamples) are reported beside it.

Between arms of compared runs (`core/paired.py`) the truth is 0, a placebo: prompts differ between the arms by so much
and runs lean by so much, both in standard deviations of what is left to chance in a single answer.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs as a file, too

import numpy as np

from benchmarks import _measuring
from benchmarks._measuring import Figure, Report
from training_app.core import agreement
from training_app.core.paired import crossed_mean
from training_app.core.resampling import MOST_UNDEFINED, bounds
from training_app.core.statistics import wilson

ITEMS = (30, 50, 100, 300, 1000)
DESIGNS = (
    ("two even", (0.5, 0.5), 0.8),
    ("three", (0.45, 0.45, 0.1), 0.8),
    ("one rare", (0.8, 0.2), 0.9),
    ("nearly always right", (0.45, 0.45, 0.1), 0.95),
)
PROMPTS = 64
SEEDS = (3, 5)
OF_PROMPTS = (0.0, 0.5, 1.5)
LEANING = (0.0, 0.05, 0.15, 0.3, 1.0)
"""Standard deviations of what a prompt and a run add to the difference of two answers."""

AT_A_TIME = 500


@dataclass(frozen=True)
class Population:
    """Every kind of item, how likely it is, and what is computed from them."""

    chance: Any
    features: Any
    figures: Any
    names: tuple[str, ...]


def main() -> None:
    """Simulate every design and report."""
    parser = _measuring.options("coverage", __doc__.split("\n\n")[0])
    parser.add_argument("--data-sets", type=int, default=2_000, help="drawn for each design")
    parser.add_argument("--resamples", type=int, default=1000)
    arguments = parser.parse_args()
    report = Report("coverage", _measuring.machine(rounds=arguments.rounds), _measuring.versions())
    report.notes.append(f"{arguments.data_sets} data sets a design, {arguments.resamples} resamples each, seed 1")
    for name, common, right in DESIGNS:
        for kind, population in (("between", between(common, right)), ("among", among(common, right))):
            for items in ITEMS:
                held, given = covered(population, items, arguments.data_sets, arguments.resamples)
                for place, figure in enumerate(population.names):
                    key = f"{kind}, {name}, {items} items, {figure}"
                    report.results[key] = Figure(held[place], held[place], held[place], "share")
                    if given[place] < 1:
                        report.notes.append(f"{key}: an interval in {given[place]:.1%} of the data sets")
    for seeds, of_prompts, leaning in itertools.product(SEEDS, OF_PROMPTS, LEANING):
        key = f"placebo, {seeds} seeds, prompts {of_prompts:g}, runs {leaning:g}"
        for over, held_by in placebo(seeds, of_prompts, leaning, arguments.data_sets).items():
            report.results[f"{key}, {over}"] = Figure(held_by, held_by, held_by, "share")
    report.print()
    report.write(arguments.json)


def placebo(seeds: int, of_prompts: float, leaning: float, data_sets: int) -> dict[str, float]:
    """The share of the intervals between two arms that hold 0, where prompts and runs are drawn with such spreads."""
    rng = np.random.default_rng(1)
    shape = (data_sets, PROMPTS, seeds)
    drawn = rng.normal(size=shape) + of_prompts * rng.normal(size=(*shape[:2], 1))
    drawn += leaning * rng.normal(size=(data_sets, 1, seeds))
    held = {"over prompts": 0, "over both": 0}
    for one in drawn:
        found = crossed_mean({(q, s): float(value) for (q, s), value in np.ndenumerate(one)})
        for over, interval in (("over prompts", found.over_prompts), ("over both", found.over_both)):
            held[over] += interval is not None and interval[0] <= 0 <= interval[1]
    return {over: count / data_sets for over, count in held.items()}


def between(common: tuple[float, ...], right: float) -> Population:
    """A judge that picks the category of an item with probability `right`, else any other, against people who know."""
    cells = np.array(list(itertools.product(range(len(common)), repeat=2)))
    chance = np.array([common[one] * _chosen(one, other, len(common), right) for one, other in cells])
    features = agreement.between_features(cells, len(common))
    return Population(chance, features, agreement.between_figures, agreement.BETWEEN)


def among(common: tuple[float, ...], right: float) -> Population:
    """Two or three people an item, equally often, each right with probability `right`."""
    kinds: dict[tuple[int, ...], float] = {}
    for raters in (2, 3):
        for said in itertools.product(range(len(common)), repeat=raters):
            likely = [
                share * np.prod([_chosen(true, one, len(common), right) for one in said])
                for true, share in enumerate(common)
            ]
            kind = tuple(said.count(category) for category in range(len(common)))
            kinds[kind] = kinds.get(kind, 0.0) + float(sum(likely)) / 2
    features = agreement.among_features(np.array(list(kinds), dtype=float))
    return Population(np.array(list(kinds.values())), features, agreement.among_figures, agreement.AMONG)


def covered(population: Population, items: int, data_sets: int, resamples: int) -> tuple[Any, Any]:
    """Per figure: the share of given intervals that hold the truth, and the share of data sets that got one."""
    rng = np.random.default_rng(1)
    truth = population.figures(population.chance * 1e9 @ population.features)
    held, given = np.zeros(len(truth)), np.zeros(len(truth))
    for start in range(0, data_sets, AT_A_TIME):
        drawn = rng.multinomial(items, population.chance, size=min(AT_A_TIME, data_sets - start))
        found = bounds(drawn, population.features, population.figures, rng=rng, resamples=resamples)
        low, high = found.low, found.high
        if population.names == agreement.BETWEEN:
            plain = [wilson(round(share * items), items).interval or (0.0, 1.0) for share in found.value[:, 0]]
            low[:, 0], high[:, 0] = np.array(plain).T
        usable = np.isfinite(found.value) & (found.undefined <= MOST_UNDEFINED) & (low < high)
        given += usable.sum(axis=0)
        held += (usable & (low <= truth) & (truth <= high)).sum(axis=0)
    return held / np.maximum(given, 1), given / data_sets


def _chosen(true: int, said: int, categories: int, right: float) -> float:
    return right if true == said else (1 - right) / (categories - 1)


if __name__ == "__main__":
    main()
