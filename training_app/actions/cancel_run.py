"""Cancel: a queued run ends at once, a running one is asked to stop and keeps what it has made."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from constitutions_app.ledger import record
from training_app.models import Run
from training_app.models.run import RunState
from training_app.refusals import SteeringRefused


def cancel_run(*, user: User, run: Run) -> Run:
    """Ask for the end of a run; returns the run as it now is (cancelled, or stopping until its stage has stopped).

    Asking again while it is stopping changes nothing. Everything made so far is kept, and the run can be resumed.
    Raises SteeringRefused for a run that has ended already.
    """
    with transaction.atomic():
        before = Run.objects.select_for_update().get(pk=run.pk)
        if before.has_ended:
            raise SteeringRefused(f"{before} has already ended ({before.get_state_display()}); nothing was changed.")
        if before.state == RunState.STOPPING:
            return before
        if before.state == RunState.QUEUED:
            Run.objects.filter(pk=run.pk).update(
                state=RunState.CANCELLED,
                finished_at=Now(),
                reason=f"Cancelled by {user.get_username()} before it began.",
            )
        else:
            Run.objects.filter(pk=run.pk).update(
                state=RunState.STOPPING, reason=f"{user.get_username()} asked it to stop."
            )
        after = Run.objects.get(pk=run.pk)
        record(actor=user, verb="run.cancel", obj=after, data={"from": before.state, "to": after.state})
    return after
