"""Cancel short work that somebody asked for: it ends at once, and the worker that does it lets go when it next looks.

A worker writes only while the row is running under its own token, so one that is still at it finds itself replaced by
the end and stops its program.
"""

from __future__ import annotations

from typing import TypeVar

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from constitutions_app.ledger import record
from training_app.export_jobs import GRACE
from training_app.models import CheckpointSignature, Export, HubCopy, JudgeEvaluation
from training_app.models.asked import AskedFor
from training_app.refusals import SteeringRefused

Row = TypeVar("Row", bound=AskedFor)


def cancel_judge(*, user: User, evaluation: JudgeEvaluation) -> JudgeEvaluation:
    """End a queued or running measurement; returns it as it now is. The answers so far stay in its folder.

    Raises SteeringRefused for a measurement that has ended already.
    """
    return _cancelled(user, "judge.cancel", evaluation)


def cancel_push(*, user: User, copy: HubCopy) -> HubCopy:
    """End a queued or running handing-on; returns it as it now is. Its worker deletes what it had copied.

    A commit cannot be taken back: where the hub had made it before the worker let go, the worker writes that into the
    row. Raises SteeringRefused for one that has ended already.
    """
    return _cancelled(user, "checkpoint.cancel_push", copy)


def cancel_signature(*, user: User, signature: CheckpointSignature) -> CheckpointSignature:
    """End a queued or running signature; returns it as it now is. Nothing is put beside the weights.

    Raises SteeringRefused for one that has ended already.
    """
    return _cancelled(user, "checkpoint.cancel_sign", signature)


def cancel_export(*, user: User, export: Export) -> Export:
    """End a queued or running export; returns it as it now is. What there is of its file is deleted.

    Raises SteeringRefused for one that has ended already.
    """
    return _cancelled(user, "export.cancel", export, expires_at=Now() + GRACE)


def _cancelled(user: User, verb: str, asked: Row, **also: object) -> Row:
    rows = type(asked)._default_manager
    with transaction.atomic():
        before = rows.select_for_update().get(pk=asked.pk)
        if before.has_ended:
            raise SteeringRefused(f"{before} has already ended ({before.get_state_display()}); nothing was changed.")
        rows.filter(pk=before.pk).update(
            state=AskedFor.State.CANCELLED,
            reason=f"Cancelled by {user.get_username()}.",
            eta_s=None,
            finished_at=Now(),
            lease_expires_at=None,
            **also,
        )
        after = rows.select_related("created_by").get(pk=before.pk)
        record(actor=user, verb=verb, obj=after, data={"from": before.state, "done": after.done})
    return after
