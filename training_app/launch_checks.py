"""What speaks against a launch although every field is filled in: unapproved or older words, too large a model, too
little room on the disk, work that GPUs cannot share.

The launch form shows these before the button is pressed, and `launch_run` refuses by the very same functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

from constitutions_app.approvals import missing_approvals
from constitutions_app.core.ancestry import ancestors
from constitutions_app.lineages import graph_of
from constitutions_app.meanings import meanings_of
from constitutions_app.models import Version
from training_app.core.memory import limit_bytes
from training_app.core.model_facts import facts_of
from training_app.disk import Needed, Room
from training_app.stale import newest_versions
from training_app.usage import GIB, gpu_total

SHARED = 12
"""Bytes per weight of what trains it, gradients 4 and Adam's two moments 8, which DeepSpeed's processes share."""
BYTES_PER_WEIGHT: Mapping[str, int] = {"sft": 4 + SHARED, "reward": 4 + SHARED, "rl": 6 + SHARED, "dpo": 4 + SHARED}
"""The least a training stage holds per weight: the weights in float32 and what trains them, RL also what rewards it 2.
Activations, caches and RL's reference come on top."""

ADAPTED, ONLY_READ = 4, 2
"""Bytes per weight of a stage that trains small adapters, and of one that only writes or judges text."""


@dataclass(frozen=True)
class Objection:
    """One reason against a launch. `field` names what it is about; old words can be used all the same, on purpose."""

    field: str
    words: str
    may_be_accepted: bool = False


def against_version(version: Version) -> Iterator[Objection]:
    """What speaks against the words: too few approvals under today's rules, or a newer version of the main branch that
    goes on from them and means otherwise."""
    if missing := missing_approvals(version):
        advice = "Have it reviewed and publish it anew, or choose a version that is approved."
        yield Objection("version", f"{missing} {advice}")
    newest = newest_versions().filter(constitution=version.constitution_id).defer("canonical").first()
    if newest is not None and newest.number > version.number:
        changed = _changed(version, newest)
        if changed:
            yield Objection(
                "version",
                f"{version} is not the newest: in v{newest.number} {changed} principle"
                f"{'' if changed == 1 else 's'} came, went or mean{'s' if changed == 1 else ''} something else. "
                "Choose the newest, or tick that the older words are meant.",
                may_be_accepted=True,
            )


def _changed(version: Version, newest: Version) -> int:
    """Principles whose meaning differs; 0 where the newest does not go on from the version. Four queries."""
    if version.pk not in ancestors(graph_of(version.constitution_id), [newest.pk]):
        return 0
    then, now = meanings_of(version), meanings_of(newest)
    return sum(then.get(key) != now.get(key) for key in then.keys() | now.keys())


def against_size(folder: Path, name: str, config: Mapping[str, Any], stages: tuple[str, ...]) -> Iterator[Objection]:
    """That the model cannot be trained in the memory there is. Reads the headers of its weights."""
    parameters = facts_of(folder).parameters
    needed = max((_per_weight(slug, config) for slug in stages), default=0) * (parameters or 0)
    room, where = room_for_a_stage(config)
    if room and needed > room:
        yield Objection(
            "base_model",
            f"{name} does not fit: with {parameters:,} weights its training holds at least {_gib(needed)}, and {where} "
            f"has {_gib(room)}. Choose a smaller model, LoRA, or more GPUs that share the weights.",
        )


def against_disk(needed: Needed, free: Room | None) -> Iterator[Objection]:
    """That what the runs lay on the disk does not fit beside what earlier ones will; nothing where that is unknown."""
    if free is None or free.holds(needed):
        return
    others = ""
    if free.waiting:
        s = "" if free.others == 1 else "s"
        others = f" {free.others} run{s} before it will take {_gib(free.waiting)} of that."
    yield Objection(
        "disk",
        f"The disk has too little room: at most {_gib(needed.most)} lie there at once, {_gib(needed.kept)} of "
        f"them checkpoints that are kept, and {_gib(free.free)} are free where artifacts are kept.{others} "
        "Delete weights that nothing rests on (manage.py prune_weights), discard stopped runs, or save less often.",
    )


def against_sharing(config: Mapping[str, Any], stages: tuple[str, ...]) -> Iterator[Objection]:
    """That GPUs cannot share RL as chosen: said now, and not by the stage itself after hours of others.

    How many there are where the launch does not say is the worker's to know: one unless it was told, which shares
    nothing.
    """
    rl, processes = config.get("rl") or {}, int(config.get("processes") or 1)
    if "rl" not in stages or processes == 1:
        return
    if rl.get("algorithm") == "ppo" and config.get("sharding") in ("fsdp2", "deepspeed"):
        yield Objection(
            "sharding",
            "PPO keeps the whole model in every process, so GPUs can share the batch alone. "
            "Choose DDP, or GRPO or RLOO as the algorithm.",
        )
    answers = int(rl.get("prompts_per_step") or 0) * int(rl.get("generations") or 0)
    if answers % processes:
        yield Objection(
            "rl.prompts_per_step",
            f"{answers} answers a step cannot be shared evenly by {processes} GPUs. Choose prompts per step times "
            "answers per prompt as a multiple of them.",
        )


def room_for_a_stage(config: Mapping[str, Any]) -> tuple[int, str]:
    """Bytes a stage may take, and where: as the operator said, else this machine's GPUs, else its memory."""
    if settings.STAGE_MEMORY_GIB:
        return int(settings.STAGE_MEMORY_GIB * GIB), "a worker"
    if gpus := gpu_total():
        shared = config.get("sharding") == "fsdp2" and len(gpus) > 1
        used = min(int(config.get("processes") or 1), len(gpus)) if shared else 1
        return sum(sorted(gpus)[-used:]), "a GPU here" if used == 1 else f"{used} GPUs here together"
    return min(int(psutil.virtual_memory().total), limit_bytes() or 2**63), "this machine"


def _per_weight(slug: str, config: Mapping[str, Any]) -> int:
    if (config.get(slug) or {}).get("lora_rank"):
        return ADAPTED
    whole = BYTES_PER_WEIGHT.get(slug, ONLY_READ)
    if slug in BYTES_PER_WEIGHT and config.get("sharding") == "deepspeed":
        return whole - SHARED + SHARED // int(config.get("processes") or 1)
    return whole


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
