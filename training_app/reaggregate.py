"""What another aggregation or clamp would make of a run's labels, computed from their raw log-probabilities alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from training_app.builds import aggregation_of, judged_in_parts
from training_app.configuration import config_from
from training_app.core.aggregate import Aggregation
from training_app.core.datasets import Build
from training_app.models import Run
from training_app.refusals import BuildRefused


@dataclass(frozen=True)
class WhatIf:
    """One aggregation of a run's labels, held against the one the run was told to use."""

    aggregation: Aggregation
    rows: int
    """Comparisons with a target; human comparisons are not among them."""
    flipped: int
    """Targets on the other side of one half, or no longer on it."""
    mean_change: float | None
    """Mean |change of p(A)| over comparisons that have a target under both; None without any."""
    excluded: Mapping[str, int]

    def as_data(self) -> dict[str, Any]:
        """As commands print it."""
        return asdict(self) | {"aggregation": self.aggregation.words()}


def own_aggregation(run: Run) -> Aggregation:
    """How the run was told to make targets. Raises BuildRefused for a run that labels nothing."""
    if "label" not in run.config:
        raise BuildRefused(f"{run} has no stage that labels.")
    return aggregation_of(config_from(run.config))


def what_if(run: Run, *aggregations: Aggregation, most: int | None = None) -> list[WhatIf]:
    """The targets under each aggregation against the run's own. Reads the labels once, in parts; writes nothing.

    `most` stops after so many comparisons. Raises BuildRefused for a run without a stage that labels.
    """
    own = own_aggregation(run)
    tallies = [_Tally() for _ in aggregations]
    for judged in judged_in_parts(run, config_from(run.config), most=most):
        before = _targets(judged.preferences(own).build.rows)
        for aggregation, tally in zip(aggregations, tallies, strict=True):
            tally.add(before, judged.preferences(aggregation).build)
    return [tally.found(aggregation) for aggregation, tally in zip(aggregations, tallies, strict=True)]


@dataclass
class _Tally:
    """What the parts read so far come to under one aggregation."""

    rows: int = 0
    both: int = 0
    flipped: int = 0
    change: float = 0.0
    excluded: Counter[str] = field(default_factory=Counter)

    def add(self, before: Mapping[str, float], build: Build) -> None:
        """One more part: its targets under the run's own way, and its rows under this one."""
        after = _targets(build.rows)
        both = sorted(before.keys() & after.keys())
        self.rows += len(after)
        self.both += len(both)
        self.flipped += sum(_side(before[key]) != _side(after[key]) for key in both)
        self.change += sum(abs(before[key] - after[key]) for key in both)
        self.excluded.update(build.reasons)

    def found(self, aggregation: Aggregation) -> WhatIf:
        return WhatIf(
            aggregation=aggregation,
            rows=self.rows,
            flipped=self.flipped,
            mean_change=self.change / self.both if self.both else None,
            excluded=dict(self.excluded),
        )


def _targets(rows: tuple[dict[str, Any], ...]) -> dict[str, float]:
    return {row["id"]: row["p_a"] for row in rows}


def _side(p: float) -> int:
    return (p > 0.5) - (p < 0.5)
