"""THE bridge: rows → job.json → stage process → events → rows.

`run_once` claims a run and brings it as far as it goes: every stage that is not done yet, in order, each a process of
its own. What the stage says is put into the database in batches, under the lease and exactly once, so the run may be
claimed again after any kill and goes on where the files say it was. However a stage ends, its end becomes a state with
a reason and advice; a fault of this file itself does too, so that no run is left "running" that nobody runs.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from constitutions_app.ledger import record
from training_app import artifacts, discarding, jobs, leases, logs, placement, remaking
from training_app.core.events import FILE as EVENTS
from training_app.core.events import RESERVE_BYTES
from training_app.core.spread import write_launch_file
from training_app.endings import Ending, Said, StageFailed, ending_of, explain
from training_app.event_tail import EventTail
from training_app.heartbeat import Heartbeat
from training_app.models import MetricPoint, Run, RunEvent, RunStage
from training_app.models.run import RunState, StageState
from training_app.other_models import judge_parts
from training_app.records import Reader, ingest
from training_app.stage_process import StageProcess, out_of_memory_kills, processes_for, stage_command, wait_until_free
from training_app.usage import Usage

log = logging.getLogger(__name__)

Command = Callable[[str, Path], Sequence[str]]
"""(stage slug, job file) → the argument list to start."""


OUTAGES = (OperationalError, InterfaceError)
"""What the database raises when it is not there: no fault of the run, which goes on later."""


class Stopped(Exception):
    """The stage stopped because it was asked to."""


def default_command(stage: str, job: Path) -> Sequence[str]:
    """The real stage program, in several processes where the job's folder holds a launch file."""
    return stage_command(stage, job)


@dataclass(frozen=True)
class Conduct:
    """How a runner behaves; the defaults are what workers use."""

    command: Command = default_command
    look_every_s: float = 0.2
    beat_every_s: float = 1.0
    """How often the lease is renewed and a wish to stop is noticed."""
    stop_grace_s: float = 60.0
    """How long a stage may take to stop when asked, before it is killed."""
    kill_retries: int = 2
    """How often a stage that something killed is started again."""
    folder_patience_s: float = 20.0
    """How long to wait for the stage program of an earlier claim to end."""


def run_once(run_id: UUID, *, conduct: Conduct | None = None, owner: str | None = None) -> RunState | None:
    """Claim the run and do what is left of it. Returns the state it was brought to, None when it was not ours to take.

    "queued" is returned when the stage was stopped from outside (the worker is being shut down): it goes on later.
    """
    conduct = conduct or Conduct()
    lease = leases.claim(run_id, owner or leases.new_owner())
    if lease is None:
        return None
    try:
        with Heartbeat(lease, every_s=conduct.beat_every_s) as heartbeat:
            return _Runner(lease, heartbeat, conduct).run()
    except leases.LeaseLost:
        log.warning("Run %s is not ours any more; whoever has it now goes on.", run_id)
    except OUTAGES:
        log.exception("The database went away under run %s; it is queued again as soon as that answers.", run_id)
        _give_back_when_it_answers(lease)
    return None


def _give_back_when_it_answers(lease: leases.Lease) -> None:
    """Queue the run again without waiting for its lease to end; after that the sweeper does it anyway."""
    deadline = time.monotonic() + leases.DURATION.total_seconds()
    while time.monotonic() < deadline:
        connection.close()
        try:
            with transaction.atomic():
                if leases.give_back(lease, reason="The database went away under it; the run goes on by itself."):
                    under_way = RunStage.objects.filter(run=lease.run_id, state=StageState.RUNNING)
                    under_way.update(state=StageState.WAITING, eta_s=None)
        except OUTAGES:
            time.sleep(0.5)
        else:
            return


class _Runner:
    """One claim of one run."""

    def __init__(self, lease: leases.Lease, heartbeat: Heartbeat, conduct: Conduct) -> None:
        self.lease = lease
        self.heartbeat = heartbeat
        self.conduct = conduct
        self.run_row = Run.objects.select_related("version__constitution").get(pk=lease.run_id)

    def run(self) -> RunState:
        """All stages, then the end. Raises LeaseLost, and OUTAGES when the database cannot be told how it ended."""
        stage: RunStage | None = None
        try:
            self._do_again_what_is_gone()
            for stage in RunStage.objects.filter(run=self.run_row).exclude(state=StageState.SUCCEEDED):
                stage.run = self.run_row
                self._do(stage)
            return self._end(RunState.SUCCEEDED)
        except (leases.LeaseLost, *OUTAGES):
            raise
        except Stopped:
            return self._stopped(stage)
        except Exception as error:
            return self._fail(stage, explain(error))

    def _do_again_what_is_gone(self) -> None:
        """Finished stages whose output is nowhere any more are waiting again; no other finished stage is redone."""
        artifacts.fetch(self.run_row)
        for stage in RunStage.objects.filter(run=self.run_row, state=StageState.SUCCEEDED):
            stage.run = self.run_row
            if (gone := remaking.what_is_gone(stage)) is not None:
                remaking.prepare(stage)
                self._mark(stage, state=StageState.WAITING, finished_at=None)
                self._note(stage, f"{gone} is gone; the stage is done again.")

    # -- one stage -------------------------------------------------------------------------------------------------

    def _do(self, stage: RunStage) -> None:
        """Bring one stage to its end. Raises StageFailed, Stopped, LeaseLost, or why its job cannot be written."""
        self._refuse_if_stopping()
        job = jobs.write_job(self.run_row, stage, hold=self._hold)
        self._spread(stage)
        artifacts.publish_builds(self.run_row)
        if not wait_until_free(stage.folder, self.conduct.folder_patience_s):
            raise StageFailed(
                f"The folder of the stage {stage.slug} is still in use by an earlier process.",
                f"End the process that uses {stage.folder}, then resume.",
            )
        self._refuse_if_stopping()
        self._rewind(stage)
        self._mark(stage, state=StageState.RUNNING, job_digest=job.digest, exit_code=None, reason="", advice="",
                   started_at=stage.started_at or Now(), finished_at=None)  # fmt: skip
        reader = Reader(stage, self.run_row, judge_parts=judge_parts(self.run_row))
        tail = EventTail(stage.folder / EVENTS, after=stage.last_seq)
        for attempt in range(self.conduct.kill_retries + 1):
            # What a killed launcher leaves behind ends by itself, at the latest when its lifeline breaks.
            wait_until_free(stage.folder, self.conduct.folder_patience_s)
            ending = self._run_program(stage, job, reader, tail)
            if not ending.was_killed or attempt == self.conduct.kill_retries:
                break
            self._note(stage, f"{ending.sentence} Starting it again ({attempt + 1} of {self.conduct.kill_retries}).")
        self._conclude(stage, ending)

    def _spread(self, stage: RunStage) -> None:
        """Put the launch file beside the job where several processes train together. Raises StageFailed."""
        config = self.run_row.config
        processes = processes_for(stage.slug, os.environ, wanted=config.get("processes"))
        gpus = placement.gpus_of(os.environ)
        if 0 < gpus < processes:
            raise StageFailed(
                f"The stage {stage.slug} is to train on {processes} GPUs together, but this worker has {gpus}.",
                "Resume it when a worker with more GPUs is free, or launch it again with fewer.",
            )
        sharding = config.get("sharding") or "ddp"
        if sharding == "deepspeed" and processes > 1 and gpus and find_spec("deepspeed") is None:
            raise StageFailed(
                f"The stage {stage.slug} is to share its optimiser through DeepSpeed, which this worker does not have.",
                "Install the package deepspeed on the worker and resume, or launch again with DDP or FSDP2.",
            )
        write_launch_file(stage.folder, processes=processes, sharding=sharding, on_cpu=gpus == 0)

    def _rewind(self, stage: RunStage) -> None:
        """Read the log anew from where it ends, if the database knows more of it than there is.

        The folder was moved aside, or the machine crashed before the newest events were on its disk: the program goes
        on from what it finds, and numbers its next events as it numbered those. Records have keys of their own, so
        those that come again are not kept twice.
        """
        if not stage.last_seq or (newest := EventTail(stage.folder / EVENTS, after=0).newest()) >= stage.last_seq:
            return
        with transaction.atomic():
            self._hold()
            RunEvent.objects.filter(stage=stage, seq__gt=newest).delete()
            RunStage.objects.filter(pk=stage.pk).update(last_seq=newest)
        stage.refresh_from_db(fields=("last_seq",))
        self._note(stage, f"Of this stage's events the newest are gone from its folder; it goes on behind {newest}.")

    def _run_program(self, stage: RunStage, job: jobs.WrittenJob, reader: Reader, tail: EventTail) -> Ending:
        """Start the program, take in what it says until it ends, and say how it ended."""
        first = tail.after
        command = self.conduct.command(stage.slug, job.path)
        process = StageProcess(command, folder=stage.folder, log=stage.folder / logs.FILE)
        asked_at: float | None = None
        forced = False
        usage, memory_kills = Usage(process.pid), out_of_memory_kills()
        try:
            while True:
                code = process.poll()
                caught_up = self._take_in(reader, tail)
                if code is None and usage.due():
                    self._note_usage(stage, usage.sample())
                if code is not None and caught_up:
                    break
                stopping = self.heartbeat.check()
                if stopping and asked_at is None:
                    process.ask_to_stop()
                    asked_at = time.monotonic()
                if asked_at is not None and not forced and time.monotonic() - asked_at > self.conduct.stop_grace_s:
                    forced = True
                    process.end()
                if code is None:
                    time.sleep(self.conduct.look_every_s)
        finally:
            process.end()
        last = RunEvent.objects.filter(stage=stage).order_by("-seq").first()
        said = Said(last.kind, last.data, fresh=last.seq > first) if last else None
        return ending_of(
            stage.slug, code, said, logs.last_line(stage.folder / logs.FILE),
            asked=asked_at is not None, memory_ran_out=out_of_memory_kills() > memory_kills,
            full_disk=stage.folder if shutil.disk_usage(stage.folder).free < RESERVE_BYTES else None,
        )  # fmt: skip

    def _note_usage(self, stage: RunStage, values: dict[str, float]) -> None:
        """Points of what the stage uses; their step is the second since it was first started.

        While the database does not answer they are not kept: they say nothing about what is made.
        """
        second = int((timezone.now() - (stage.started_at or timezone.now())).total_seconds())
        points = [MetricPoint(stage=stage, name=name, step=second, value=value) for name, value in values.items()]
        try:
            with transaction.atomic():
                self._hold()
                MetricPoint.objects.bulk_create(points, ignore_conflicts=True)
        except OUTAGES as error:
            log.warning("What run %s uses just now is not kept: %s", self.lease.run_id, error)
            connection.close()

    def _take_in(self, reader: Reader, tail: EventTail) -> bool:
        """Put what the stage has said since the last time into the database; whether that was all there is.

        While the database does not answer nothing is lost: the events wait in their file.
        """
        batch = tail.take()
        if not batch.events:
            tail.done(batch)
            return True
        try:
            ingest(self.lease, reader, batch.events)
        except OUTAGES as error:
            log.warning("The events of run %s wait, because the database does not answer: %s", self.lease.run_id, error)
            connection.close()
            time.sleep(self.conduct.look_every_s)
            return False
        tail.done(batch)
        return False

    def _conclude(self, stage: RunStage, ending: Ending) -> None:
        if ending.stopped:
            self._mark(stage, state=StageState.STOPPED, exit_code=ending.exit_code, reason=ending.sentence, eta_s=None)
            artifacts.publish_log(stage)
            raise Stopped
        if ending.failure is not None:
            raise ending.failure
        artifacts.put(stage.folder)
        self._mark(stage, state=StageState.SUCCEEDED, exit_code=0, finished_at=Now(), eta_s=None)

    # -- ends ------------------------------------------------------------------------------------------------------

    def _stopped(self, stage: RunStage | None) -> RunState:
        """Asked by people: cancelled. Asked by a shutdown: back into the queue, for the next worker."""
        if self.heartbeat.check() or leases.renew(self.lease) == RunState.STOPPING:
            asked = Run.objects.get(pk=self.lease.run_id)
            state = self._end(RunState.CANCELLED, reason=asked.reason)
            if asked.discarded:
                discarding.drop_unfinished(asked)
            return state
        if stage is not None:
            self._mark(stage, state=StageState.WAITING)
        leases.give_back(self.lease)
        return RunState.QUEUED

    def _fail(self, stage: RunStage | None, failure: StageFailed) -> RunState:
        if failure.is_fault:
            log.exception("Run %s failed by a fault of the runner.", self.lease.run_id)
        else:
            log.warning("Run %s failed: %s", self.lease.run_id, failure.reason)
        if stage is not None:
            self._mark(stage, state=StageState.FAILED, exit_code=failure.exit_code, reason=failure.reason,
                       advice=failure.advice, finished_at=Now(), eta_s=None)  # fmt: skip
            artifacts.publish_log(stage)
        return self._end(RunState.FAILED, reason=failure.reason, advice=failure.advice, exit_code=failure.exit_code)

    def _end(self, state: RunState, *, reason: str = "", advice: str = "", exit_code: int | None = None) -> RunState:
        """The run's last state under this claim, with its ledger entry."""
        with transaction.atomic():
            leases.finish(self.lease, state, reason=reason, advice=advice, exit_code=exit_code)
            record(actor=None, verb=f"run.{state}", obj=self.run_row, data={"reason": reason, "exit_code": exit_code})
        return state

    # -- small things ----------------------------------------------------------------------------------------------

    def _hold(self) -> None:
        leases.hold(self.lease)

    def _refuse_if_stopping(self) -> None:
        if self.heartbeat.check() or leases.renew(self.lease) == RunState.STOPPING:
            raise Stopped

    def _mark(self, stage: RunStage, **values: object) -> None:
        """Change columns of the stage's row, under the lease."""
        with transaction.atomic():
            self._hold()
            RunStage.objects.filter(pk=stage.pk).update(**values)
        stage.refresh_from_db()
        stage.run = self.run_row

    def _note(self, stage: RunStage, sentence: str) -> None:
        """A line of the runner's own in the stage's log."""
        with (stage.folder / logs.FILE).open("a", encoding="utf-8") as file:
            file.write(f"{sentence}\n")
