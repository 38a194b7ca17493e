"""What the quality gate did to a run's revisions, as pages show it. Read from the rules of its SL-CAI build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training_app.models import DatasetBuild


@dataclass(frozen=True)
class Gate:
    """How many revisions were made, trained on and dropped; `dropped` pairs a reason with its count, most first."""

    build: DatasetBuild
    made: int
    kept: int
    dropped: tuple[tuple[str, int], ...]
    drops: tuple[str, ...]
    """The flags that keep a revision out; empty for a build that is older than the gate."""

    @property
    def is_thin(self) -> bool:
        """Whether fewer than half of the revisions reached training."""
        return self.made > 0 and 2 * self.kept < self.made


def gate_of(build: DatasetBuild) -> Gate | None:
    """The gate of an SL-CAI build; None for another build. An older build's counts are added up from its rules."""
    if build.stage != "sft":
        return None
    if said := build.rules.get("gate"):
        return Gate(build, said["made"], said["kept"], _most_first(said["dropped"]), tuple(said["drops"]))
    excluded = build.rules.get("excluded") or {}
    dropped = {reason: n for reason, n in excluded.items() if reason != "empty helpfulness sample"}
    if by_people := (build.rules.get("overridden") or {}).get("dropped"):
        dropped["overridden by people"] = by_people
    kept = (build.rules.get("counts") or {}).get("revision", 0)
    return Gate(build, kept + sum(dropped.values()), kept, _most_first(dropped), ())


def gate_among(builds: Sequence[DatasetBuild]) -> Gate | None:
    """The gate of the first SL-CAI build among these; None without one."""
    return next((gate for build in builds if (gate := gate_of(build))), None)


def _most_first(dropped: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(dropped.items(), key=lambda pair: (-pair[1], pair[0])))
