"""The verb of signing: having a released checkpoint signed with the key of this installation."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.core.digests import SIGNATURE, digest_file
from training_app.core.signing_keys import NoKey
from training_app.models import Checkpoint, CheckpointSignature
from training_app.refusals import ReleaseRefused
from training_app.releases import release_of
from training_app.signatures import State, installation_key
from training_app.tasks import ring_release_work


def sign_checkpoint(
    *, user: User, checkpoint: Checkpoint, say: Callable[[str], None] | None = None
) -> CheckpointSignature:
    """Queue a signature and wake a `default` worker. One that is under way, or lies there by this key, is returned.

    Raises ReleaseRefused, nothing written, without a key, and while the rules of release ask for something more:
    a signature says that the checkpoint may be used.
    """
    try:
        key = installation_key()
    except NoKey as error:
        raise ReleaseRefused(f"{error} Nothing was signed.") from error
    with transaction.atomic():
        Checkpoint.objects.select_for_update(no_key=True).get(pk=checkpoint.pk)
        if missing := release_of(checkpoint).missing:
            raise ReleaseRefused(f"It cannot be signed yet. {' '.join(missing)}")
        for row in CheckpointSignature.objects.filter(checkpoint=checkpoint):
            if not row.has_ended or (row.fingerprint == key.fingerprint and _lies_there(row)):
                return row
        asked = CheckpointSignature.objects.create(
            checkpoint=checkpoint, fingerprint=key.fingerprint, public_key=key.pem, created_by=user
        )
        data = {"digest": checkpoint.digest, "key": key.fingerprint}
        record(actor=user, verb="checkpoint.sign", obj=asked, data=data)
        ring_release_work(asked.pk, "The signature", say=say)
    return asked


def _lies_there(row: CheckpointSignature) -> bool:
    path = row.checkpoint.folder / SIGNATURE
    return row.state == State.SUCCEEDED and path.is_file() and digest_file(path) == row.digest
