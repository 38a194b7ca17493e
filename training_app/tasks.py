"""What travels through the queue: the wish that some worker look at a run. The row decides whether there is work.

A message is acknowledged before its task begins (settings), so it is never redelivered while a run takes hours, and a
second copy of it finds the run claimed and does nothing. A message that is lost costs one interval of the sweeper.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from uuid import UUID

import psutil
from celery import Task, shared_task
from celery.signals import worker_shutting_down
from django.db import transaction

from training_app import chats, export_jobs, hub_copies, judge_evaluations, placement, runner, signatures
from training_app.core.stage import LIFELINE
from training_app.models.run import RunState
from training_app.numbers import keeping
from training_app.stage_process import LAUNCHER

QUEUE = "gpu"
INFER = "infer"
"""Short inference for people who wait: behind a training run it would wait for hours."""

DEFAULT = "default"
"""Work without a model."""

STALE_AFTER_S = 120
"""A wake-up nobody took in this time is dropped by the worker that finds it; the sweeper sends another one."""

log = logging.getLogger(__name__)


@shared_task(name="training_app.advance_run", ignore_result=True)
def advance_run(run_id: str) -> None:
    """Bring one run as far as it goes: the named one if its worker went away, else the first of the queue.

    Nothing happens when there is none, or while another worker of this machine trains on the same devices; whoever
    ends a run rings for the next one.
    """
    named = UUID(run_id)
    with placement.devices_held(placement.devices_of(os.environ)) as free:
        ended = next(filter(None, map(runner.run_once, placement.candidates(named))), None) if free else None
    if ended not in (None, RunState.QUEUED) and (following := placement.next_in_queue()):
        wake(following)


@shared_task(name="training_app.evaluate_judge", ignore_result=True)
def evaluate_judge(evaluation_id: str) -> None:
    """Claim the judge evaluation and bring it to its end; nothing happens when somebody else has it."""
    judge_evaluations.run_once(UUID(evaluation_id))


@shared_task(name="training_app.compute_numbers", ignore_result=True)
def compute_numbers() -> None:
    """Compute the figures that somebody asked for; nothing happens when all are there."""
    keeping.renew()


@shared_task(name="training_app.answer_chat", ignore_result=True)
def answer_chat(turn_id: str) -> None:
    """Claim the question and have it answered; nothing happens when somebody else has it."""
    chats.run_once(UUID(turn_id))


@shared_task(name="training_app.do_release_work", ignore_result=True)
def do_release_work(pk: str) -> None:
    """Claim what a release asked for (a signature, a copy for a hub) and have it done, unless somebody else has it."""
    for run_once in (signatures.run_once, hub_copies.run_once):
        run_once(UUID(pk))


@shared_task(name="training_app.write_export", ignore_result=True)
def write_export(pk: str) -> None:
    """Claim the export and write its file, or delete the file whose time is over; nothing where there is neither."""
    export_jobs.run_once(UUID(pk))


@worker_shutting_down.connect(weak=False)
def stop_stages(**_: object) -> None:
    """A worker that is asked to end asks its stage to stop, so that the run goes back into the queue in seconds.

    Without this it would wait for the run, which may take hours, or be killed with it. Called in the worker's parent
    process; the pool's child sees the stage's exit and puts the run back. What stages are forked from is asked too, so
    that a stage which it is about to fork stops at once.
    """
    for child in psutil.Process().children(recursive=True):
        try:
            if LIFELINE in (words := child.cmdline()) and LAUNCHER not in words:
                child.terminate()
        except psutil.Error:
            continue  # it has just ended by itself


def wake(run_id: UUID) -> bool:
    """Put one wake-up into the queue. False when the queue cannot be reached: that costs time, never the run."""
    return _wake_for(advance_run, QUEUE, run_id)


def ring(run_id: UUID, *, say: Callable[[str], None] | None = None) -> None:
    """Wake a worker once the surrounding transaction is committed, and tell `say` when that did not work."""
    _ring_for(partial(wake, run_id), "The run", say)


def wake_for_judge(evaluation_id: UUID) -> bool:
    """Put one wake-up for a judge evaluation into the queue. False when the queue cannot be reached."""
    return _wake_for(evaluate_judge, INFER, evaluation_id)


def wake_for_chat(turn_id: UUID) -> bool:
    """Put one wake-up for a question to checkpoints into the queue. False when the queue cannot be reached."""
    return _wake_for(answer_chat, INFER, turn_id)


def wake_for_release_work(pk: UUID) -> bool:
    """Put one wake-up for a release's work into the queue. False when the queue cannot be reached."""
    return _wake_for(do_release_work, DEFAULT, pk)


def wake_for_export(pk: UUID) -> bool:
    """Put one wake-up for an export into the queue. False when the queue cannot be reached."""
    return _wake_for(write_export, DEFAULT, pk)


def ring_export(pk: UUID, *, say: Callable[[str], None] | None = None) -> None:
    """Wake a worker once the surrounding transaction is committed, and tell `say` when that did not work."""
    _ring_for(partial(wake_for_export, pk), "The export", say)


def ring_judge(evaluation_id: UUID, *, say: Callable[[str], None] | None = None) -> None:
    """Wake a worker once the surrounding transaction is committed, and tell `say` when that did not work."""
    _ring_for(partial(wake_for_judge, evaluation_id), "The evaluation", say)


def ring_chat(turn_id: UUID, *, say: Callable[[str], None] | None = None) -> None:
    """Wake a worker once the surrounding transaction is committed, and tell `say` when that did not work."""
    _ring_for(partial(wake_for_chat, turn_id), "The question", say)


def ring_release_work(pk: UUID, what: str, *, say: Callable[[str], None] | None = None) -> None:
    """Wake a worker once the surrounding transaction is committed, and tell `say` when that did not work."""
    _ring_for(partial(wake_for_release_work, pk), what, say)


def _wake_for(task: Task[..., None], queue: str, *about: UUID) -> bool:
    try:
        task.apply_async(args=tuple(map(str, about)), queue=queue, expires=STALE_AFTER_S)
    except Exception:  # whatever the broker's client raises: a doorbell that does not ring must not undo a commit
        log.warning("The queue cannot be reached; the sweeper will ring for %s %s.", task.name, about, exc_info=True)
        return False
    return True


def _ring_for(wake_now: Callable[[], bool], what: str, say: Callable[[str], None] | None) -> None:
    def ring_now() -> None:
        if not wake_now() and say is not None:
            say(f"The queue cannot be reached just now. {what} is kept and starts by itself when the queue is back.")

    transaction.on_commit(ring_now, robust=True)


def wake_for_numbers() -> bool:
    """Put one wake-up for the numbers over audits into the queue. False when the queue cannot be reached."""
    return _wake_for(compute_numbers, DEFAULT)


def ring_numbers() -> None:
    """Wake a worker for the numbers once the surrounding transaction is committed."""
    transaction.on_commit(wake_for_numbers, robust=True)
