"""A checkpoint folder becomes a row: verified byte by byte first, and only if it names the run's own version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from constitutions_app.ledger import record
from training_app.core.manifest import verify
from training_app.models import Checkpoint, Run, RunStage

PARENT = {"reward": "sft", "rl": "sft", "dpo": "sft"}
"""Which stage's checkpoint a stage starts from."""


class BadCheckpoint(Exception):
    """The folder does not verify, or is not what the event says; the message is one sentence."""


@dataclass(frozen=True)
class SoundCheckpoint:
    """A folder that verified: what its row will say. Only `verified` makes one."""

    folder: Path
    digest: str
    manifest: dict[str, Any]


def verified(run: Run, stage: RunStage, said: Mapping[str, Any]) -> SoundCheckpoint:
    """Recompute every digest of the folder a "checkpoint" event names. Reads all of it: call it outside transactions.

    Raises BadCheckpoint when a file differs from the manifest, the manifest from the event, or the constitution from
    the version the run was launched with.
    """
    folder = stage.folder / str(said["path"])
    found = verify(folder)
    if not found.ok or found.manifest is None or found.manifest_digest is None:
        problem = found.problems[0]
        raise BadCheckpoint(f"The checkpoint of the stage {stage.slug} does not verify: {problem.sentence}")
    if found.manifest_digest != said["digest"]:
        raise BadCheckpoint(f"The manifest of the stage {stage.slug} is not the one the stage announced.")
    if found.constitution_digest != run.version.digest:
        raise BadCheckpoint(
            f"The checkpoint of the stage {stage.slug} names another constitution "
            f"({str(found.constitution_digest)[:12]}…) than the run's version ({run.version.digest[:12]}…)."
        )
    return SoundCheckpoint(folder, found.manifest_digest, dict(found.manifest))


def of_run(run_id: UUID) -> dict[str, Checkpoint]:
    """The checkpoints of a run by stage. One query."""
    return {checkpoint.stage: checkpoint for checkpoint in Checkpoint.objects.filter(run_id=run_id)}


def keep(run: Run, stage: RunStage, sound: SoundCheckpoint) -> Checkpoint:
    """The checkpoint as a row, in the caller's transaction; the same one again returns the row already there.

    Raises BadCheckpoint when the stage has another one.
    """
    before = {} if run.source_id is None else of_run(run.source_id)
    made = of_run(run.pk)
    if (known := made.get(stage.slug)) is not None:
        if known.digest != sound.digest:
            raise BadCheckpoint(f"The stage {stage.slug} already has another checkpoint, {known.digest[:12]}….")
        return known
    checkpoint = Checkpoint.objects.create(
        run=run,
        stage=stage.slug,
        version=run.version,
        constitution_digest=run.version.digest,
        parent=(before | made).get(PARENT.get(stage.slug, "")),
        reward_model=made.get("reward") if stage.slug == "rl" else None,
        path=sound.folder.relative_to(settings.ARTIFACT_ROOT).as_posix(),
        digest=sound.digest,
        manifest=sound.manifest,
        size_bytes=sum(file["bytes"] for file in sound.manifest["files"].values()),
    )
    data = {"run": str(run.pk), "stage": stage.slug, "digest": checkpoint.digest, "constitution": run.version.digest}
    record(actor=None, verb="checkpoint.publish", obj=checkpoint, data=data)
    return checkpoint
