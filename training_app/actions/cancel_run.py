"""Cancel: a queued run ends at once, a running one is asked to stop and keeps what it has made."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from constitutions_app.ledger import record
from training_app.discarding import drop_unfinished
from training_app.models import Run
from training_app.models.run import RunState
from training_app.refusals import SteeringRefused


def cancel_run(*, user: User, run: Run, discard: bool = False) -> Run:
    """Ask for the end of a run; returns the run as it now is (cancelled, or stopping until its stage has stopped).

    Asking again while it is stopping changes nothing. Everything made so far is kept, and the run can be resumed; with
    `discard` it cannot, and what only a resume would need is deleted (discarding.py). A run that ended unfinished can
    still be discarded. Raises SteeringRefused for a run that has ended already.
    """
    with transaction.atomic():
        before = Run.objects.select_for_update().get(pk=run.pk)
        if before.has_ended and not (discard and before.can_resume):
            raise SteeringRefused(f"{before} has already ended ({before.get_state_display()}); nothing was changed.")
        if before.state == RunState.STOPPING and before.discarded >= discard:
            return before
        changes: dict[str, Any] = {"discarded": discard or before.discarded}
        if before.state == RunState.QUEUED:
            reason = f"Cancelled by {user.get_username()} before it began."
            changes |= {"state": RunState.CANCELLED, "finished_at": Now(), "reason": reason}
        elif not before.has_ended:
            changes |= {"state": RunState.STOPPING, "reason": f"{user.get_username()} asked it to stop."}
        Run.objects.filter(pk=run.pk).update(**changes)
        after = Run.objects.get(pk=run.pk)
        data = {"from": before.state, "to": after.state} | ({"discard": True} if discard else {})
        record(actor=user, verb="run.cancel", obj=after, data=data)
        if discard and after.has_ended:
            transaction.on_commit(partial(drop_unfinished, after), robust=True)
    return after
