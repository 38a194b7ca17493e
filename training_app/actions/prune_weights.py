"""Deleting weights that nothing rests on, to make room; what they were made of stays on record."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from constitutions_app.models import Constitution
from training_app import retention
from training_app.models import Checkpoint


def prune_weights(*, user: User | None, checkpoint: Checkpoint, keep_runs: int) -> int:
    """Delete one checkpoint's weights if the rules of retention.py still allow it; returns how many bytes that freed.

    They go here and in the artifact storage. The constitution is locked meanwhile, as by whoever promotes a checkpoint,
    so none is promoted and deleted at once. Raises StorageFailed, nothing recorded, where the storage does not answer;
    what it had deleted by then is deleted again with the next call.
    """
    with transaction.atomic():
        Constitution.objects.select_for_update(no_key=True).get(pk=checkpoint.version.constitution_id)
        found = retention.still_prunable(checkpoint, keep_runs=keep_runs)
        if found is None:
            return 0
        data = {"digest": checkpoint.digest, "bytes": found.here, "stored_bytes": found.stored, "keep_runs": keep_runs}
        record(actor=user, verb="checkpoint.delete_weights", obj=checkpoint, data=data)
        retention.delete_weights(checkpoint)
        return found.bytes
