"""Which weights may be deleted to make room: never those that anything still rests on.

The weights of a checkpoint are kept when it has an alias or ever had one, when somebody signed it off, had it signed or
handed it on, when another checkpoint was made from it (as its parent or by its reward model), when its run is under way
or among the newest, when its run failed and may be resumed, or when a run that goes on from it has not ended. What is
deleted are the weights alone, here and in the artifact storage: the manifest, the constitution, the row and everything
that leads to them stay, so lineage can still be read, and `verify_checkpoint` says what is missing. What other machines
fetched stays with them until they delete it in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Cast

from constitutions_app.models import LedgerEntry
from training_app import artifacts
from training_app.core.manifest import CONSTITUTION, MANIFEST
from training_app.models import Checkpoint, Run
from training_app.models.run import ENDED_STATES, RunState

KEPT = frozenset({MANIFEST, CONSTITUTION})
PROMOTED = "checkpoint.promote"


@dataclass(frozen=True)
class Prunable:
    """A checkpoint whose weights nothing rests on, and what deleting them frees: bytes here and in the storage."""

    checkpoint: Checkpoint
    here: int
    stored: int

    @property
    def bytes(self) -> int:
        return self.here + self.stored


def prunable(*, keep_runs: int) -> Sequence[Prunable]:
    """The checkpoints whose weights may be deleted, oldest first, when the newest `keep_runs` runs keep theirs.

    Raises StorageFailed where the storage does not say what it holds.
    """
    return [found for one in _free(keep_runs) if (found := _room_of(one)).bytes]


def still_prunable(checkpoint: Checkpoint, *, keep_runs: int) -> Prunable | None:
    """The same of one checkpoint; None where something rests on its weights, or they are gone. Raises StorageFailed."""
    allowed = _free(keep_runs).filter(pk=checkpoint.pk).exists()
    return found if allowed and (found := _room_of(checkpoint)).bytes else None


def _free(keep_runs: int) -> QuerySet[Checkpoint]:
    """The checkpoints that nothing rests on."""
    newest = Run.objects.order_by("-number").values("pk")[:keep_runs]
    promoted = LedgerEntry.objects.filter(
        verb=PROMOTED, object_type="training_app.checkpoint", object_id=Cast(OuterRef("pk"), CharField())
    )
    return (
        Checkpoint.objects.filter(
            _is_over("run__"),
            aliases__isnull=True,
            sign_offs__isnull=True,
            signatures__isnull=True,
            hub_copies__isnull=True,
            children__isnull=True,
            rewarded__isnull=True,
        )
        .exclude(run__in=list(newest.values_list("pk", flat=True)))
        .exclude(run__in=Run.objects.exclude(source=None).exclude(_is_over()).values("source"))
        .exclude(Exists(promoted))
        .order_by("pk")
    )


def _room_of(checkpoint: Checkpoint) -> Prunable:
    files = checkpoint.manifest["files"]
    stored = (files[name]["bytes"] for name in artifacts.stored_of(checkpoint) if name in files and name not in KEPT)
    return Prunable(checkpoint, sum(path.stat().st_size for path in _weights(checkpoint)), sum(map(int, stored)))


def _is_over(run: str = "") -> Q:
    """That a run will never go on; `run` is the way to it."""
    discarded = Q(**{f"{run}state__in": ENDED_STATES, f"{run}discarded": True})
    return Q(**{f"{run}state": RunState.SUCCEEDED}) | discarded


def delete_weights(checkpoint: Checkpoint) -> None:
    """Delete the files of a checkpoint that only using it needs, first in the storage. Raises StorageFailed."""
    artifacts.delete_stored(checkpoint, [name for name in checkpoint.manifest["files"] if name not in KEPT])
    for path in _weights(checkpoint):
        path.unlink()


def _weights(checkpoint: Checkpoint) -> list[Path]:
    folder = checkpoint.folder
    names = [name for name in checkpoint.manifest["files"] if name not in KEPT]
    return [path for name in names if (path := folder / name).is_file() and not path.is_symlink()]
