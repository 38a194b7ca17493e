"""From a queued judge evaluation to its report: a claim, the stage program `judge_eval`, its events, one result.

The row decides, as with runs: a claim is one conditional update with a lease and a fencing token, every write is
conditioned on that token, and a worker that vanished is replaced when its lease has ended. The program resumes from its
own events, so nothing is asked twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from constitutions_app.ledger import record
from training_app import logs
from training_app.base_models import folder_of
from training_app.core.datasets import write_text
from training_app.core.events import FILE as EVENTS
from training_app.core.job import SCHEMA
from training_app.core.judge_spec import JudgeSpec
from training_app.core.stage import FINISHED, STOPPED
from training_app.event_tail import EventTail, storable
from training_app.judges import register
from training_app.models import JudgeEvaluation
from training_app.stage_process import StageProcess, stage_command, wait_until_free

ITEMS = "items.jsonl"
STAGE = "judge_eval"
LEASE = timedelta(seconds=30)
MOST_ATTEMPTS = 5

State = JudgeEvaluation.State


@dataclass(frozen=True)
class Conduct:
    """How a worker goes about it; tests hurry."""

    command: Callable[[str, Path], Sequence[str]] = stage_command
    look_every_s: float = 0.5
    folder_patience_s: float = 20.0


class Lost(Exception):
    """Somebody else has the evaluation by now: stop and write nothing."""


def waiting() -> list[UUID]:
    """Those that nobody works on: queued, or left by a worker that vanished."""
    left = Q(state=State.RUNNING, lease_expires_at__lt=Now())
    found = JudgeEvaluation.objects.filter(Q(state=State.QUEUED) | left).order_by("created_at")
    return list(found.values_list("pk", flat=True))


def run_once(pk: UUID, *, conduct: Conduct | None = None) -> str | None:
    """Claim it and bring it to its end. Returns the state it was left in; None when it was not ours to take."""
    claimed = _claim(pk)
    if claimed is None:
        return None
    try:
        return _Measuring(claimed, conduct or Conduct()).run()
    except Lost:
        return None


def _claim(pk: UUID) -> JudgeEvaluation | None:
    free = Q(state=State.QUEUED) | Q(state=State.RUNNING, lease_expires_at__lt=Now())
    taken = JudgeEvaluation.objects.filter(free, pk=pk).update(
        state=State.RUNNING,
        attempt=F("attempt") + 1,
        fencing_token=F("fencing_token") + 1,
        lease_expires_at=Now() + LEASE,
    )
    return JudgeEvaluation.objects.get(pk=pk) if taken else None


class _Measuring:
    """One claim of one evaluation."""

    def __init__(self, row: JudgeEvaluation, conduct: Conduct) -> None:
        self.row = row
        self.conduct = conduct
        self.said: dict[str, Any] = {}

    def run(self) -> str:
        if self.row.attempt > MOST_ATTEMPTS:
            return self._fail("Its workers went away several times in a row.", "Look at the workers' logs.")
        if not wait_until_free(self.row.folder, self.conduct.folder_patience_s):
            return self._fail("Its folder is still in use by an earlier process.", "End that process, then ask again.")
        job = write_job(self.row)
        process = StageProcess(
            self.conduct.command(STAGE, job), folder=self.row.folder, log=self.row.folder / logs.FILE
        )
        try:
            code = self._watch(process)
        finally:
            process.end()
        if code == FINISHED and self.said.get("kind") == "finished":
            return self._succeed(self.said["summary"])
        if code == STOPPED:
            self._write(state=State.QUEUED, lease_expires_at=None, attempt=F("attempt") - 1)
            return State.QUEUED
        return self._fail(*self._why(code))

    def _watch(self, process: StageProcess) -> int:
        """Follow the program to its end; progress and lease go into the row. Raises Lost."""
        tail = EventTail(self.row.folder / EVENTS, after=0)
        while True:
            code = process.poll()
            batch = tail.take()
            tail.done(batch)
            for event in batch.events:
                self.said = event.body
                if event.kind == "progress":
                    self._write(done=event.body["done"], eta_s=event.body.get("eta_s"))
            if code is not None and not batch.events:
                return code
            self._write(lease_expires_at=Now() + LEASE)
            if code is None:
                time.sleep(self.conduct.look_every_s)

    def _why(self, code: int) -> tuple[str, str]:
        if self.said.get("kind") == "failed":
            return str(self.said["message"]), str(self.said.get("advice") or "")
        if code < 0:
            return (
                f"It was killed by signal {-code}.",
                "Most often for lack of memory: choose a smaller batch or model.",
            )
        last = logs.last_line(self.row.folder / logs.FILE)
        return last or f"It ended with exit code {code}.", ""

    def _succeed(self, report: dict[str, Any]) -> str:
        parts = {name: report["judge"][name] for name in JudgeSpec.__dataclass_fields__}
        with transaction.atomic():
            judge = register(JudgeSpec(**parts), actor=None)
            self._write(state=State.SUCCEEDED, report=report, judge=judge, done=report["n"], eta_s=None,
                        finished_at=Now(), lease_expires_at=None)  # fmt: skip
            data = {
                "judge": judge.digest,
                "file": self.row.file_digest,
                "n": report["n"],
                "accuracy": report["accuracy"],
            }
            record(actor=None, verb="judge.measured", obj=self.row, data=data)
        return State.SUCCEEDED

    def _fail(self, reason: str, advice: str = "") -> str:
        with transaction.atomic():
            self._write(state=State.FAILED, reason=storable(reason), advice=storable(advice), eta_s=None,
                        finished_at=Now(), lease_expires_at=None)  # fmt: skip
            record(actor=None, verb="judge.not_measured", obj=self.row, data={"reason": storable(reason)})
        return State.FAILED

    def _write(self, **values: object) -> None:
        held = JudgeEvaluation.objects.filter(pk=self.row.pk, state=State.RUNNING, fencing_token=self.row.fencing_token)
        if not held.update(**values):
            raise Lost


def write_job(row: JudgeEvaluation) -> Path:
    """The job file of an evaluation, beside its items; the same bytes every time."""
    model = dict(row.model)
    if "path" in model:
        model["path"] = str(folder_of(model))
    job = {
        "schema": SCHEMA, "stage": STAGE, "run": str(row.pk), "seed": 0, "out": ".", "model": model,
        "inputs": {"items": {"path": ITEMS, "digest": row.file_digest}}, "params": row.params,
    }  # fmt: skip
    write_text(row.folder / "job.json", json.dumps(job, indent=2, sort_keys=True) + "\n")
    return row.folder / "job.json"
