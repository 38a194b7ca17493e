"""What runs will lay on the disk, and how much of it is free: held against each other before a launch.

Checkpoints are float32, 4 bytes a weight, one for each stage that trains (`core/checkpoints.py`). While a stage trains,
its resume states lie beside them: the weights and Adam's two moments, 12 bytes a weight, at most two that are kept and
one being written; with LoRA they are small. Runs that wait or are under way are counted with the checkpoints they have
yet to leave. What is left out: texts, records and logs, which are small beside weights; resume states of runs that
train at the same time; whatever else fills the disk. How many steps a stage of supervised training takes is guessed
from the prompts, since nobody knows yet how many rows they give.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from training_app.artifacts import is_elsewhere
from training_app.base_models import folder_of
from training_app.core.checkpoints import KEEP
from training_app.core.model_facts import facts_of
from training_app.estimates import prompts_used
from training_app.models import Run, RunStage
from training_app.models.run import ACTIVE_STATES, RunState, StageState

CHECKPOINT, RESUME_STATE = 4, 12
"""Bytes a weight."""
TRAINS = ("sft", "reward", "rl", "dpo")
"""Stages that leave a checkpoint, in the order in which they are done."""


@dataclass(frozen=True)
class Needed:
    """Bytes that runs leave behind, and the most that lies there at once while they are made."""

    kept: int
    most: int


@dataclass(frozen=True)
class Room:
    """Free bytes where artifacts are kept, and the bytes that `others` runs before this one will still fill of them."""

    free: int
    waiting: int
    others: int

    def holds(self, needed: Needed) -> bool:
        return needed.most + self.waiting <= self.free


def needed_by(
    config: Mapping[str, Any], stages: Collection[str], *, parameters: int | None, sets: Sequence[tuple[str, int]]
) -> Needed:
    """What one run needs: `config` is plain data, `sets` the kind and rows of each prompt set, `parameters` the base
    model's weights; nothing where that is not known.
    """
    prompts = prompts_used(list(sets), config.get("max_prompts"))
    compared = sum(rows for kind, rows in sets if kind == "comparisons")
    kept = most = 0
    for slug in TRAINS:
        if slug in stages:
            states = 0 if _is_lora(slug, config) else min(_saves(slug, config, prompts, compared), KEEP + 1)
            finished = CHECKPOINT + RESUME_STATE * min(states, KEEP)
            most = max(most, kept + max(RESUME_STATE * states, finished))
            kept += CHECKPOINT
    weights = parameters or 0
    return Needed(kept * weights, most * weights)


def together(several: Sequence[Needed]) -> Needed:
    """What runs done one after another need."""
    kept = sum(one.kept for one in several)
    return Needed(kept, kept + max((one.most - one.kept for one in several), default=0))


def room(*, but: Collection[UUID] = ()) -> Room | None:
    """What is free, beside all runs that have not ended but these. None where workers store what they make elsewhere:
    what is free there is not told. One query, and a look at the base models of those runs."""
    if is_elsewhere():
        return None
    to_come = RunStage.objects.filter(run__state__in=(RunState.QUEUED, *ACTIVE_STATES), slug__in=TRAINS)
    to_come = to_come.exclude(state=StageState.SUCCEEDED).exclude(run__in=but).order_by()
    models: dict[str, int] = {}
    runs: set[UUID] = set()
    waiting = 0
    for run_id, model in to_come.values_list("run_id", "run__base_model"):
        runs.add(run_id)
        waiting += CHECKPOINT * _parameters(model, models)
    return Room(free_bytes(), waiting, len(runs))


def needed_by_run(run: Run) -> Needed:
    """What a run needs by its row: only the stages it does itself. Two queries."""
    stages = run.stages.values_list("slug", flat=True)
    sets = [*run.prompt_sets.values_list("kind", "rows")]
    return needed_by(run.config, tuple(stages), parameters=_parameters(run.base_model, {}), sets=sets)


def free_bytes() -> int:
    """Free where artifacts are kept, or will be: the folder is made with the first run."""
    folder = Path(settings.ARTIFACT_ROOT)
    return shutil.disk_usage(next(one for one in (folder, *folder.parents) if one.exists())).free


def _parameters(base_model: Mapping[str, Any], known: dict[str, int]) -> int:
    """A base model's weights, 0 where its folder does not say (any more)."""
    path = str(base_model.get("path") or "")
    if path and path not in known:
        known[path] = facts_of(folder_of(base_model)).parameters or 0
    return known.get(path, 0)


def _saves(slug: str, config: Mapping[str, Any], prompts: int, compared: int) -> int:
    """How often a stage saves before its last step; people's comparisons are rows of the reward model and of DPO."""
    options = config.get(slug) or {}
    every = int(options.get("save_steps") or 1)
    if slug == "rl":
        steps = int(options.get("steps") or 0)
    else:
        batch = int(options.get("batch_size") or 1) * int(options.get("gradient_accumulation") or 1)
        rows = prompts if slug == "sft" else prompts + compared
        steps = int(rows * float(options.get("epochs") or 0) / batch)
    return max(steps - 1, 0) // every


def _is_lora(slug: str, config: Mapping[str, Any]) -> bool:
    return bool((config.get(slug) or {}).get("lora_rank"))
