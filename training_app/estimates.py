"""What a run will take, from what earlier runs took: time, memory, disk. Nothing measured, nothing claimed.

A stage's pace is the median, over the newest finished runs of the same preset and base model, of its seconds per unit
of work: prompts for the stages that read prompts, steps for RL. Its memory is the most that was seen in use
(`usage.py`), its disk the largest checkpoint it left. What is left out: that larger batches need more memory. What is
left of a run under way is in `time_left.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from statistics import median
from typing import Any

from django.db.models import F, Max, Q, Window
from django.db.models.fields.json import KT
from django.db.models.functions import RowNumber

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


@dataclass
class Paces:
    """How fast the newest finished runs of one preset and base model were: how many, on what, and how fast.

    `found` are seconds per unit of work, by stage and manner (`_manner`).
    """

    runs: int = 0
    device: str = ""
    found: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def seconds(self, slug: str, *, prompts: int, config: Mapping[str, Any]) -> float | None:
        """What a stage of a run with so many prompts will take; None where none of its kind was measured."""
        found = self.found.get((slug, _manner(slug, config)))
        return median(found) * _work(slug, prompts, config) if found else None


@dataclass(frozen=True)
class Measured:
    """What earlier runs of a preset and base model took: time, and bytes by stage."""

    paces: Paces
    memory: Mapping[str, int]
    gpu_memory: Mapping[str, int]
    disk: Mapping[str, int]

    def estimate(self, *, prompts: int, config: Mapping[str, Any]) -> Estimate | None:
        """What a run with so many prompts and this configuration (plain data) will take; None: none of it is measured.

        Earlier runs are scaled by prompts (by prompts and rounds for `revise`, by steps for `rl`). No query.
        """
        stages = stages_of(config)
        told = {slug: self.paces.seconds(slug, prompts=prompts, config=config) for slug in stages}
        known = {slug: seconds for slug, seconds in told.items() if seconds is not None}
        if not known:
            return None

        def of_these(sizes: Mapping[str, int]) -> dict[str, int]:
            return {slug: size for slug, size in sizes.items() if slug in stages}

        return Estimate(
            known, of_these(self.memory), of_these(self.gpu_memory), of_these(self.disk),
            self.paces.runs, self.paces.device, stages,
        )  # fmt: skip


Kind = tuple[str, str]
"""The preset and the base model's name: runs that have both in common measure one another."""


def measured_of(*, preset: str, base_model: str) -> Measured | None:
    """What the newest finished runs of this preset and base model took; None without any. Six queries."""
    newest = _newest([(preset, base_model)])
    if (paces := _paces(newest).get((preset, base_model))) is None:
        return None
    return Measured(
        paces, _most_in_use(newest, "use_memory"), _most_in_use(newest, "use_gpu_memory"), _checkpoint_sizes(newest)
    )


def paces_of(kinds: Collection[Kind]) -> dict[Kind, Paces]:
    """How fast the newest finished runs of each kind were, where there are any. Three queries, none without kinds."""
    return _paces(_newest(kinds)) if kinds else {}


def kind_of(run: Run) -> Kind:
    return run.preset, str(run.base_model.get("name") or "")


def seconds_taken(stage: RunStage, run: Run) -> float | None:
    """How long a finished stage worked. Of a run that was claimed several times, what lay between does not count."""
    if run.fencing_token > 1:  # `attempt` begins anew with every resume
        return stage.total / stage.rate if stage.total and stage.rate else None
    if stage.started_at and stage.finished_at:
        return (stage.finished_at - stage.started_at).total_seconds()
    return None


def _newest(kinds: Collection[Kind]) -> dict[Any, Run]:
    """The newest finished runs of each kind with their prompt sets, newest first. Two queries."""
    wanted = reduce(or_, (Q(preset=preset, base_model__name=name) for preset, name in kinds))
    place = Window(RowNumber(), partition_by=[F("preset"), KT("base_model__name")], order_by=F("number").desc())
    finished = Run.objects.filter(wanted, state=RunState.SUCCEEDED).annotate(place_of_kind=place)
    newest = finished.filter(place_of_kind__lte=NEWEST).order_by("-number").prefetch_related("prompt_sets")
    return {run.pk: run for run in newest}


def _paces(newest: Mapping[Any, Run]) -> dict[Kind, Paces]:
    """By kind, where at least one stage was measured. One query."""
    found: dict[Kind, Paces] = {}
    for run in newest.values():
        paces = found.setdefault(kind_of(run), Paces(device=run.device))
        paces.runs += 1
    for stage in RunStage.objects.filter(run__in=newest, state=StageState.SUCCEEDED):
        run = newest[stage.run_id]
        work, taken = _work(stage.slug, prompts_of(run), run.config), seconds_taken(stage, run)
        if taken is not None and work:
            measured = found[kind_of(run)].found
            measured.setdefault((stage.slug, _manner(stage.slug, run.config)), []).append(taken / work)
    return {kind: paces for kind, paces in found.items() if paces.found}


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
    """What a stage must have in common with an earlier one to be measured by it: of RL the algorithm and the reward."""
    rl = config.get("rl") or {}
    return f"{rl.get('algorithm') or 'grpo'} {rl.get('reward') or 'model'}" if slug == "rl" else ""


def prompts_of(run: Run) -> int:
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
    if slug == "write":
        return float(options.get("count") or 0)
    if slug == "revise":
        return prompts * float(options.get("rounds") or 0)
    if slug in ("sft", "reward", "dpo"):
        return prompts * float(options.get("epochs") or 0)
    return float(prompts)
