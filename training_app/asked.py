"""From a queued row to its result: a claim, a stage program, its events, one outcome. Judging, chats, signatures.

The row decides, as with runs: a claim is one conditional update with a lease and a fencing token, every write is
conditioned on that token, and a worker that vanished is replaced when its lease has ended. The program resumes from its
own events, so nothing is done twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from constitutions_app.ledger import record
from training_app import artifacts, logs
from training_app.core.events import FILE as EVENTS
from training_app.core.events import read_events
from training_app.core.stage import FINISHED, STOPPED
from training_app.event_tail import EventTail, storable
from training_app.models.asked import AskedFor
from training_app.stage_process import StageProcess, stage_command, wait_until_free

LEASE = timedelta(seconds=30)
FETCHING = timedelta(minutes=15)
"""How long a worker may fetch what it lacks before another one takes the row."""
MOST_ATTEMPTS = 5

Row = TypeVar("Row", bound=AskedFor)
State = AskedFor.State
Data = dict[str, Any]


@dataclass(frozen=True)
class Conduct:
    """How a worker goes about it; tests hurry."""

    command: Callable[[str, Path], Sequence[str]] = stage_command
    look_every_s: float = 0.5
    folder_patience_s: float = 20.0


@dataclass(frozen=True)
class Work(Generic[Row]):
    """One kind of work. `folder` holds a row's job and events; `result` turns the program's summary into columns, and
    raises NotKept where what was made cannot be put where it belongs.

    `done_verb` and `failed_verb` go into the ledger; `said` is what the ledger keeps of a summary.
    """

    model: type[Row]
    stage: str
    folder: Callable[[Row], Path]
    write_job: Callable[[Row], Path]
    result: Callable[[Row, Data], Data]
    said: Callable[[Row, Data], Data]
    done_verb: str
    failed_verb: str
    cancelled: Callable[[Row, Sequence[Data]], None] = lambda row, events: None
    """Called by the worker that let go of a cancelled row, its program gone, with the events that it left."""


class NotKept(Exception):
    """The program ended well, but its result cannot be kept; the message is one sentence."""


class Lost(Exception):
    """Somebody else has the row by now: stop and write nothing."""


def waiting(model: type[Row]) -> list[UUID]:
    """Those that nobody works on: queued, or left by a worker that vanished."""
    left = Q(state=State.RUNNING, lease_expires_at__lt=Now())
    found = model._default_manager.filter(Q(state=State.QUEUED) | left).order_by("created_at")
    return list(found.values_list("pk", flat=True))


def run_once(work: Work[Row], pk: UUID, conduct: Conduct) -> str | None:
    """Claim it and bring it to its end. Returns the state it was left in; None when it was not ours to take."""
    claimed = claim(work.model, pk)
    if claimed is None:
        return None
    working = _Working(work, claimed, conduct)
    try:
        return working.run()
    except Lost:
        working.let_go()
        return None


def claim(model: type[Row], pk: UUID) -> Row | None:
    """Take a row that nobody works on, for the length of a lease; None when it was not ours to take."""
    free = Q(state=State.QUEUED) | Q(state=State.RUNNING, lease_expires_at__lt=Now())
    taken = model._default_manager.filter(free, pk=pk).update(
        state=State.RUNNING,
        attempt=F("attempt") + 1,
        fencing_token=F("fencing_token") + 1,
        lease_expires_at=Now() + LEASE,
    )
    return model._default_manager.get(pk=pk) if taken else None


def write(row: AskedFor, **values: object) -> None:
    """Write columns of a row that is ours. Raises Lost, and then nothing is written, once it is not any more."""
    held = type(row)._default_manager.filter(pk=row.pk, state=State.RUNNING, fencing_token=row.fencing_token)
    if not held.update(**values):
        raise Lost


def fail(row: AskedFor, verb: str, reason: str, advice: str = "") -> str:
    """End a row that is ours as failed, with an entry in the ledger. Raises Lost."""
    with transaction.atomic():
        write(row, state=State.FAILED, reason=storable(reason), advice=storable(advice), eta_s=None,
              finished_at=Now(), lease_expires_at=None)  # fmt: skip
        record(actor=None, verb=verb, obj=row, data={"reason": storable(reason)})
    return State.FAILED


class _Working(Generic[Row]):
    """One claim of one row."""

    def __init__(self, work: Work[Row], row: Row, conduct: Conduct) -> None:
        self.work = work
        self.row = row
        self.folder = work.folder(row)
        self.conduct = conduct
        self.last: Data = {}

    def run(self) -> str:
        if self.row.attempt > MOST_ATTEMPTS:
            return self._fail("Its workers went away several times in a row.", "Look at the workers' logs.")
        if not wait_until_free(self.folder, self.conduct.folder_patience_s):
            return self._fail("Its folder is still in use by an earlier process.", "End that process, then ask again.")
        if artifacts.is_elsewhere():
            self._write(lease_expires_at=Now() + FETCHING)
        try:
            command = self.conduct.command(self.work.stage, self.work.write_job(self.row))
        except artifacts.StorageFailed as error:
            return self._fail(str(error), "See that the artifact storage answers, then ask again.")
        process = StageProcess(command, folder=self.folder, log=self.folder / logs.FILE)
        try:
            code = self._watch(process)
        finally:
            process.end()
        if code == FINISHED and self.last.get("kind") == "finished":
            return self._succeed(self.last["summary"])
        if code == STOPPED:
            self._write(state=State.QUEUED, lease_expires_at=None, attempt=F("attempt") - 1)
            return State.QUEUED
        return self._fail(*self._why(code))

    def let_go(self) -> None:
        """After a loss: where it was a person who ended the row, see to what the program left."""
        row = self.work.model._default_manager.get(pk=self.row.pk)
        if row.state == State.CANCELLED and row.fencing_token == self.row.fencing_token:
            self.work.cancelled(row, read_events(self.folder / EVENTS))

    def _watch(self, process: StageProcess) -> int:
        """Follow the program to its end; progress and lease go into the row. Raises Lost."""
        tail = EventTail(self.folder / EVENTS, after=0)
        while True:
            code = process.poll()
            batch = tail.take()
            tail.done(batch)
            for event in batch.events:
                self.last = event.body
                if event.kind == "progress":
                    self._write(done=event.body["done"], eta_s=event.body.get("eta_s"))
            if code is not None and not batch.events:
                return code
            self._write(lease_expires_at=Now() + LEASE)
            if code is None:
                time.sleep(self.conduct.look_every_s)

    def _why(self, code: int) -> tuple[str, str]:
        if self.last.get("kind") == "failed":
            return str(self.last["message"]), str(self.last.get("advice") or "")
        if code < 0:
            return (
                f"It was killed by signal {-code}.",
                "Most often for lack of memory: choose a smaller batch or model.",
            )
        last = logs.last_line(self.folder / logs.FILE)
        return last or f"It ended with exit code {code}.", ""

    def _succeed(self, summary: Data) -> str:
        try:
            result = self.work.result(self.row, summary)
        except NotKept as error:
            return self._fail(str(error), "Mend that, then ask again.")
        with transaction.atomic():
            self._write(state=State.SUCCEEDED, eta_s=None, finished_at=Now(), lease_expires_at=None, **result)
            record(actor=None, verb=self.work.done_verb, obj=self.row, data=self.work.said(self.row, summary))
        return State.SUCCEEDED

    def _fail(self, reason: str, advice: str = "") -> str:
        return fail(self.row, self.work.failed_verb, reason, advice)

    def _write(self, **values: object) -> None:
        write(self.row, **values)
