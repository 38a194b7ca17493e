"""What a run will take, from what earlier runs took: time, memory, disk. Nothing measured, nothing claimed.

A stage's pace is the median, over the newest finished runs of the same preset and base model, of its seconds per unit
of work: prompts for the stages that read prompts, steps for RL. Its memory is the most that was seen in use
(`usage.py`), its disk the largest checkpoint it left. What is left out: that larger batches need more memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.db.models import Max

from training_app.models import Checkpoint, MetricPoint, Run, RunStage
from training_app.models.run import RunState, StageState
from training_app.plan import stages_of
from training_app.usage import GIB

NEWEST = 5
"""Earlier runs looked at."""


@dataclass(frozen=True)
class Estimate:
    """Seconds per stage as measured, how many runs that rests on, and the stages nobody has measured.

    `memory` and `gpu_memory` are bytes at a stage's peak, `disk` bytes of its checkpoint; each only where measured.
    """

    seconds: Mapping[str, float]
    memory: Mapping[str, int]
    gpu_memory: Mapping[str, int]
    disk: Mapping[str, int]
    runs: int
    device: str
    stages: tuple[str, ...]

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    @property
    def total_disk(self) -> int:
        return sum(self.disk.values())

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(slug for slug in self.stages if slug not in self.seconds)


@dataclass(frozen=True)
class Measured:
    """What earlier runs of a preset and base model took. Paces are seconds per unit of work, by stage and algorithm."""

    paces: Mapping[tuple[str, str], list[float]]
    memory: Mapping[str, int]
    gpu_memory: Mapping[str, int]
    disk: Mapping[str, int]
    runs: int
    device: str

    def estimate(self, *, prompts: int, config: Mapping[str, Any]) -> Estimate | None:
        """What a run with so many prompts and this configuration (plain data) will take; None: none of it is measured.

        Earlier runs are scaled by prompts (by prompts and rounds for `revise`, by steps for `rl`). No query.
        """
        stages = stages_of(config)
        known = {slug: found for slug in stages if (found := self.paces.get((slug, _manner(slug, config))))}
        if not known:
            return None

        def of_these(sizes: Mapping[str, int]) -> dict[str, int]:
            return {slug: size for slug, size in sizes.items() if slug in stages}

        return Estimate(
            {slug: median(found) * _work(slug, prompts, config) for slug, found in known.items()},
            of_these(self.memory), of_these(self.gpu_memory), of_these(self.disk), self.runs, self.device, stages,
        )  # fmt: skip


def measured_of(*, preset: str, base_model: str) -> Measured | None:
    """What the newest finished runs of this preset and base model took; None without any. Five queries."""
    earlier = Run.objects.filter(preset=preset, base_model__name=base_model, state=RunState.SUCCEEDED)
    newest = {run.pk: run for run in earlier.order_by("-number")[:NEWEST].prefetch_related("prompt_sets")}
    paces: dict[tuple[str, str], list[float]] = {}
    for stage in RunStage.objects.filter(run__in=newest, state=StageState.SUCCEEDED):
        run = newest[stage.run_id]
        work = _work(stage.slug, _prompts_of(run), run.config)
        if stage.started_at and stage.finished_at and work:
            taken = (stage.finished_at - stage.started_at).total_seconds() / work
            paces.setdefault((stage.slug, _manner(stage.slug, run.config)), []).append(taken)
    if not paces:
        return None
    return Measured(
        paces, _most_in_use(newest, "use_memory"), _most_in_use(newest, "use_gpu_memory"), _checkpoint_sizes(newest),
        len(newest), next(iter(newest.values())).device,
    )  # fmt: skip


def _most_in_use(runs: Mapping[Any, Run], name: str) -> dict[str, int]:
    """Bytes at each stage's peak, from points in GiB. One query."""
    points = MetricPoint.objects.filter(stage__run__in=runs, name=name).order_by()
    peaks = points.values_list("stage__slug").annotate(most=Max("value"))
    return {slug: int(most * GIB) for slug, most in peaks}


def _checkpoint_sizes(runs: Mapping[Any, Run]) -> dict[str, int]:
    """Bytes of the largest checkpoint of each stage. One query."""
    made = Checkpoint.objects.filter(run__in=runs).order_by()
    return dict(made.values_list("stage").annotate(most=Max("size_bytes")))


def _manner(slug: str, config: Mapping[str, Any]) -> str:
    """What a stage must have in common with an earlier one to be measured by it: of RL the algorithm."""
    return str((config.get("rl") or {}).get("algorithm") or "grpo") if slug == "rl" else ""


def _prompts_of(run: Run) -> int:
    """The prompts its sets hold, as far as it may use them. Reads prefetched sets."""
    return prompts_used([(one.kind, one.rows) for one in run.prompt_sets.all()], run.config.get("max_prompts"))


def prompts_used(sets: list[tuple[str, int]], most: int | None) -> int:
    """How many prompts of these sets (kind, rows) a run answers, `most` of each kind."""
    rows: dict[str, int] = {}
    for kind, count in sets:
        if kind != "comparisons":
            rows[kind] = rows.get(kind, 0) + count
    return sum(min(count, most) if most else count for count in rows.values())


def _work(slug: str, prompts: int, config: Mapping[str, Any]) -> float:
    """How much a stage has to do, in units that only have to be the same for every run."""
    options: Mapping[str, Any] = config.get(slug) or {}
    if slug == "rl":
        return float(options.get("steps") or 0)
    if slug == "revise":
        return prompts * float(options.get("rounds") or 0)
    if slug in ("sft", "reward", "dpo"):
        return prompts * float(options.get("epochs") or 0)
    return float(prompts)
