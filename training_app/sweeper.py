"""What no message brings about: what waits unheard, and runs whose worker went away. One pass is `Sweeper.sweep`.

The sweeper never runs anything. It wakes workers, and says the truth about runs that nobody runs: back into the queue,
or lost after too many attempts, or cancelled if people had asked for that. All of it by conditional updates, so it does
no harm to run two sweepers; a lock only saves the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from constitutions_app import mailing, vectors
from constitutions_app.ledger import record
from training_app import chats, discarding, export_jobs, hub_copies, judge_evaluations, leases, placement, signatures
from training_app.models import Run, RunStage
from training_app.models.run import ACTIVE_STATES, RunState, StageState
from training_app.numbers import keeping

MOST_ATTEMPTS = 5
"""Claims of one launch (or resume) whose workers may vanish before the run counts as lost."""

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0
"""A queued run is rung for again after 5, 10, 20, 40, 60, 60 … seconds: workers may be busy for hours."""

LOCK = 0x5EE9
MAIL = UUID(int=0)
"""Stands among the runs to be rung for, for all mail that is due."""
VECTORS = UUID(int=1)
"""The same for texts whose vectors are missing."""
NUMBERS = UUID(int=2)
"""Stands there for the figures over audits that somebody asked for."""


@dataclass(frozen=True)
class Swept:
    """What one pass did."""

    requeued: int = 0
    cancelled: int = 0
    lost: int = 0
    woken: int = 0


@dataclass
class Sweeper:
    """Remembers when it rang for which run. `wake` puts one message into the queue."""

    wake: Callable[[UUID], bool]
    wake_for_judge: Callable[[UUID], bool] = lambda _: False
    wake_for_mail: Callable[[], bool] = lambda: False
    wake_for_vectors: Callable[[], bool] = lambda: False
    wake_for_numbers: Callable[[], bool] = lambda: False
    wake_for_chat: Callable[[UUID], bool] = lambda _: False
    wake_for_release_work: Callable[[UUID], bool] = lambda _: False
    wake_for_export: Callable[[UUID], bool] = lambda _: False
    clock: Callable[[], float] = time.monotonic
    _due: dict[UUID, tuple[float, float]] = field(default_factory=dict)
    """Run → (when to ring again, how long to pause then)."""

    def sweep(self) -> Swept:
        """One pass. A worker of this machine that is gone need not be waited for until its lease ends."""
        for run in Run.objects.filter(state__in=ACTIVE_STATES).only("pk", "lease_owner", "fencing_token"):
            if leases.owner_is_gone(run.lease_owner):
                leases.end_at_once(run)
        expired = Run.objects.filter(lease_expires_at__lt=Now())
        cancelled = [
            run for run in expired.filter(state=RunState.STOPPING) if _end_unowned(run, RunState.CANCELLED, run.reason)
        ]
        running = expired.filter(state=RunState.RUNNING)
        lost = [
            run for run in running.filter(attempt__gte=MOST_ATTEMPTS) if _end_unowned(run, RunState.LOST, _lost(run))
        ]
        requeued = [run for run in running.filter(attempt__lt=MOST_ATTEMPTS) if _requeue(run)]
        return Swept(len(requeued), len(cancelled), len(lost), self._ring())

    def _ring(self) -> int:
        runs = [] if placement.is_paused() else list(placement.queued().values_list("pk", flat=True))
        judges = judge_evaluations.waiting()
        questions = chats.waiting()
        releases = [*signatures.waiting(), *hub_copies.waiting()]
        files = export_jobs.waiting()
        mail = [MAIL] if mailing.waits() else []
        texts = [VECTORS] if vectors.waits() else []
        figures = [NUMBERS] if keeping.waits() else []
        now = self.clock()
        heard = {*runs, *judges, *questions, *releases, *files, *mail, *texts, *figures}
        self._due = {one: due for one, due in self._due.items() if one in heard}
        return (
            sum(self._rung(one, self.wake, now) for one in runs)
            + sum(self._rung(one, self.wake_for_judge, now) for one in judges)
            + sum(self._rung(one, self.wake_for_chat, now) for one in questions)
            + sum(self._rung(one, self.wake_for_release_work, now) for one in releases)
            + sum(self._rung(one, self.wake_for_export, now) for one in files)
            + sum(self._rung(one, lambda _: self.wake_for_mail(), now) for one in mail)
            + sum(self._rung(one, lambda _: self.wake_for_vectors(), now) for one in texts)
            + sum(self._rung(one, lambda _: self.wake_for_numbers(), now) for one in figures)
        )

    def _rung(self, one: UUID, wake: Callable[[UUID], bool], now: float) -> bool:
        at, pause = self._due.get(one, (now, FIRST_PAUSE_S))
        if at > now:
            return False
        self._due[one] = (now + pause, min(2 * pause, LONGEST_PAUSE_S))
        return wake(one)


def try_lock() -> bool:
    """Become the one sweeper, for as long as this database connection lives."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _unowned(run: Run) -> QuerySet[Run]:
    """The run, if still nobody owns it: its lease has ended and no claim has come since it was read."""
    return Run.objects.filter(pk=run.pk, state=run.state, fencing_token=run.fencing_token, lease_expires_at__lt=Now())


def _requeue(run: Run) -> bool:
    with transaction.atomic():
        moved = _unowned(run).update(
            state=RunState.QUEUED,
            fencing_token=F("fencing_token") + 1,  # what the vanished worker may still write is refused from here on
            lease_owner="",
            lease_expires_at=None,
            reason="The worker that ran it went away; the run goes on as soon as a worker is free.",
        )
        if moved:
            RunStage.objects.filter(run=run, state=StageState.RUNNING).update(state=StageState.WAITING, eta_s=None)
            data = {"attempt": run.attempt, "worker": run.lease_owner}
            record(actor=None, verb="run.requeue", obj=run, data=data)
    return bool(moved)


def _end_unowned(run: Run, state: RunState, reason: str) -> bool:
    with transaction.atomic():
        ended = _unowned(run).update(
            state=state,
            fencing_token=F("fencing_token") + 1,
            reason=reason,
            advice="What was made is kept; resume the run to go on." if state == RunState.LOST else "",
            finished_at=Now(),
            lease_owner="",
            lease_expires_at=None,
        )
        if ended:
            unfinished = RunStage.objects.filter(run=run, state=StageState.RUNNING)
            unfinished.update(state=StageState.STOPPED, finished_at=Now(), eta_s=None)
            record(actor=None, verb=f"run.{state}", obj=run, data={"reason": reason, "attempt": run.attempt})
    if ended and run.discarded:
        discarding.drop_unfinished(run)
    return bool(ended)


def _lost(run: Run) -> str:
    return (
        f"{run.attempt} workers in a row went away while they ran it (the last one: {run.lease_owner or 'unknown'}); "
        "it is not tried again by itself."
    )
