"""Resume: a run that failed, was cancelled or was lost goes on where it was; finished stages are not done again."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.models import Run, RunStage
from training_app.models.run import RunState, StageState
from training_app.refusals import SteeringRefused
from training_app.tasks import ring


def resume_run(*, user: User, run: Run, say: Callable[[str], None] | None = None) -> Run:
    """Queue the run again and wake a GPU worker; returns the run as it now is.

    `say` is told a sentence when the queue cannot be reached. Raises SteeringRefused for a run that is still under way
    or has succeeded.
    """
    with transaction.atomic():
        before = Run.objects.select_for_update().get(pk=run.pk)
        if not before.can_resume:
            raise SteeringRefused(
                f"{before} is {before.get_state_display()}; only an ended, unfinished run is resumed."
            )
        unfinished = RunStage.objects.filter(run=before).exclude(state=StageState.SUCCEEDED)
        unfinished.update(state=StageState.WAITING, exit_code=None, reason="", advice="", finished_at=None, eta_s=None)
        Run.objects.filter(pk=run.pk).update(
            state=RunState.QUEUED,
            attempt=0,
            place=0,
            reason="",
            advice="",
            exit_code=None,
            finished_at=None,
            lease_owner="",
            lease_expires_at=None,
        )
        after = Run.objects.get(pk=run.pk)
        record(actor=user, verb="run.resume", obj=after, data={"from": before.state})
        ring(after.pk, say=say)
    return after
