"""How long a run will take, from how long the stages of earlier runs took. Nothing measured, nothing claimed.

A stage's pace is the median, over the newest finished runs of the same preset and base model, of its seconds per unit
of work: prompts for the stages that read prompts, steps for RL. What is left out: memory and disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from training_app.core.config import stages_for
from training_app.models import Run, RunStage
from training_app.models.run import RunState, StageState

NEWEST = 5
"""Earlier runs looked at."""


@dataclass(frozen=True)
class Estimate:
    """Seconds per stage as measured, how many runs that rests on, and the stages nobody has measured."""

    seconds: Mapping[str, float]
    runs: int
    device: str
    stages: tuple[str, ...]

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(slug for slug in self.stages if slug not in self.seconds)


def estimate_for(*, preset: str, base_model: str, prompts: int, config: Mapping[str, Any]) -> Estimate | None:
    """What a run with so many prompts and this configuration (plain data) will take; None when nothing is measured.

    Two queries. Earlier runs are scaled by prompts (by prompts and rounds for `revise`, by steps for `rl`).
    """
    earlier = Run.objects.filter(preset=preset, base_model__name=base_model, state=RunState.SUCCEEDED)
    newest = {run.pk: run for run in earlier.order_by("-number")[:NEWEST].prefetch_related("prompt_sets")}
    paces: dict[str, list[float]] = {}
    for stage in RunStage.objects.filter(run__in=newest, state=StageState.SUCCEEDED):
        run = newest[stage.run_id]
        work = _work(stage.slug, _prompts_of(run), run.config)
        if stage.slug == "rl" and _algorithm(run.config) != _algorithm(config):
            continue
        if stage.started_at and stage.finished_at and work:
            paces.setdefault(stage.slug, []).append((stage.finished_at - stage.started_at).total_seconds() / work)
    if not paces:
        return None
    stages = _stages_of(config)
    seconds = {slug: median(paces[slug]) * _work(slug, prompts, config) for slug in stages if slug in paces}
    return Estimate(seconds, len(newest), next(iter(newest.values())).device, stages)


def _stages_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The stages a configuration asks for; what it does not say, or cannot be read, counts as the paper's way."""
    rl, dpo = config.get("rl") or {}, config.get("dpo") or {}
    method, reward, pairs = config.get("method"), rl.get("reward"), dpo.get("pairs")
    return stages_for(method or "rl", reward=reward or "model", pairs=pairs or "labels")


def _algorithm(config: Mapping[str, Any]) -> str:
    return str((config.get("rl") or {}).get("algorithm") or "grpo")


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
