"""How much of the reward model's loss AI harmlessness labels carry against human helpfulness comparisons.

Above one half a model mostly learns to avoid (arXiv 2204.05862 and 2212.08073, section 4.3): the launch page says so
before a run, the page of a build after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from training_app.models import DatasetBuild, PromptSet

MOST = 0.5


@dataclass(frozen=True)
class Mixture:
    """`share`: of the loss weight, in [0, 1]. `evening_weight`: the human weight at which it is one half, or None."""

    share: float
    evening_weight: float | None

    @property
    def dominates(self) -> bool:
        """Whether harmlessness carries more than half."""
        return self.share > MOST

    @property
    def percent(self) -> str:
        """The share in words."""
        return f"{self.share:.0%}"


def expected_mixture(sets: Iterable[tuple[str, int]], config: Mapping[str, Any]) -> Mixture | None:
    """Before a run, from its sets (kind, rows): one AI row a red-team prompt, as many human rows as the sets hold.

    None where the sets make no comparison at all. An upper bound for the AI's part: identical responses make no row.
    """
    rows: dict[str, int] = {}
    for kind, count in sets:
        rows[kind] = rows.get(kind, 0) + count
    ai = rows.get(PromptSet.Kind.RED_TEAM, 0)
    most = config.get("max_prompts")
    said = config["reward"]["human_weight"]
    weight = 1.0 if said is None else float(said)  # of a field that cannot be read
    return _mixture(min(ai, most) if most else ai, rows.get(PromptSet.Kind.COMPARISONS, 0), weight)


def mixture_of(build: DatasetBuild) -> Mixture | None:
    """What a build of preferences holds; None for another build. No query."""
    counts = build.rules.get("counts", {})
    if build.stage != "reward" or not counts:
        return None
    human = int(counts.get("human", 0))
    return _mixture(sum(map(int, counts.values())) - human, human, float(build.rules.get("human_weight", 1.0)))


def _mixture(ai: int, human: int, weight: float) -> Mixture | None:
    total = ai + human * weight
    return Mixture(ai / total, round(ai / human, 2) if human else None) if total else None
