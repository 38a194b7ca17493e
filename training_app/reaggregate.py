"""What another aggregation or clamp would make of a run's labels, computed from their raw log-probabilities alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from training_app.builds import aggregation_of, judged_in
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


def what_if(run: Run, *aggregations: Aggregation) -> list[WhatIf]:
    """The targets under each aggregation against the run's own. Reads the labels once, writes nothing.

    Raises BuildRefused for a run without a stage that labels.
    """
    own, judged = own_aggregation(run), judged_in(run, config_from(run.config))
    before = _targets(judged.preferences(own).build.rows)
    return [_against(before, one, judged.preferences(one).build) for one in aggregations]


def _against(before: Mapping[str, float], aggregation: Aggregation, build: Build) -> WhatIf:
    after = _targets(build.rows)
    both = sorted(before.keys() & after.keys())
    changes = [abs(before[key] - after[key]) for key in both]
    return WhatIf(
        aggregation=aggregation,
        rows=len(after),
        flipped=sum(_side(before[key]) != _side(after[key]) for key in both),
        mean_change=sum(changes) / len(changes) if changes else None,
        excluded=build.reasons,
    )


def _targets(rows: tuple[dict[str, Any], ...]) -> dict[str, float]:
    return {row["id"]: row["p_a"] for row in rows if row["source"] != "human"}


def _side(p: float) -> int:
    return (p > 0.5) - (p < 0.5)
