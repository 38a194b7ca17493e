"""Cancel a judge's measurement: it ends at once, and the worker that asks lets go when it next looks."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from constitutions_app.ledger import record
from training_app.models import JudgeEvaluation
from training_app.refusals import SteeringRefused


def cancel_judge(*, user: User, evaluation: JudgeEvaluation) -> JudgeEvaluation:
    """End a queued or running measurement; returns it as it now is. The answers so far stay in its folder.

    A worker writes only while the row is running under its own token, so one that is still asking finds itself
    replaced by the end and stops its program. Raises SteeringRefused for a measurement that has ended already.
    """
    State = JudgeEvaluation.State
    with transaction.atomic():
        before = JudgeEvaluation.objects.select_for_update().get(pk=evaluation.pk)
        if before.has_ended:
            raise SteeringRefused(f"{before} has already ended ({before.get_state_display()}); nothing was changed.")
        JudgeEvaluation.objects.filter(pk=before.pk).update(
            state=State.CANCELLED,
            reason=f"Cancelled by {user.get_username()}.",
            eta_s=None,
            finished_at=Now(),
            lease_expires_at=None,
        )
        after = JudgeEvaluation.objects.select_related("judge", "created_by").get(pk=before.pk)
        record(actor=user, verb="judge.cancel", obj=after, data={"from": before.state, "done": after.done})
    return after
