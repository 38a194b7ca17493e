"""How a stage ended, in words: exit codes and signals become a sentence, advice and a state; exceptions do too."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_app.artifacts import StorageFailed
from training_app.checkpoints import BadCheckpoint
from training_app.configuration import BadConfiguration
from training_app.core.stage import BAD_INPUT, FINISHED, STOPPED
from training_app.event_tail import DamagedEvents, storable
from training_app.jobs import JobImpossible
from training_app.prompt_sets import WrongPrompts
from training_app.records import UnknownReference
from training_app.refusals import BuildRefused, PromptFileRefused

OUT_OF_MEMORY = (
    "Most often the system has run out of memory: end other programs and resume (what was done is kept), or clone the "
    "run with a smaller batch, shorter texts or a smaller model."
)
MOVE_ASIDE = "Move the stage's folder aside and resume: the stage is done again, and what is here already is kept."
MAKE_ROOM = "Make room and resume; everything written so far is kept."
SEE_LOG = "The log of the stage says more; what was done is kept."


class StageFailed(Exception):
    """A stage, or the making of it, cannot go on. `is_fault`: through a fault of the program, whose trace is logged."""

    def __init__(self, reason: str, advice: str = "", *, exit_code: int | None = None, is_fault: bool = False) -> None:
        super().__init__(reason)
        self.reason = storable(reason)  # the last line of a log may well be NULs, after a crash of the machine
        self.advice = storable(advice)
        self.exit_code = exit_code
        self.is_fault = is_fault


@dataclass(frozen=True)
class Said:
    """The last event of a stage; `fresh` when the process that has just ended wrote it."""

    kind: str
    data: Mapping[str, Any]
    fresh: bool


@dataclass(frozen=True)
class Ending:
    """How a stage program ended. With neither `stopped` nor `failure` it is finished."""

    exit_code: int
    sentence: str = ""
    stopped: bool = False
    was_killed: bool = False
    failure: StageFailed | None = None


def ending_of(
    stage: str,
    code: int,
    said: Said | None,
    last_line: str,
    *,
    asked: bool,
    memory_ran_out: bool = False,
    full_disk: Path | None = None,
) -> Ending:
    """What an exit code means, given the last event, the last line of the log, and whether we had asked for the end.

    `memory_ran_out`: the kernel ended some process here for lack of memory while the stage ran. `full_disk`: the folder
    whose disk has no room left, so that the stage may not even have been able to say so.
    """
    if code == FINISHED and said is not None and said.kind == "finished":
        return Ending(code)
    says_stopped = said is not None and said.fresh and said.kind == "stopped"  # a launcher has exit codes of its own
    if code in (STOPPED, -signal.SIGTERM) or says_stopped:
        return Ending(code, f"The stage {stage} stopped where it can go on.", stopped=True)
    if code < 0 and asked:
        return Ending(
            code, f"The stage {stage} did not stop in time and was ended; it goes on from its last save.", stopped=True
        )
    if code < 0:
        sentence = f"The stage {stage} was killed by {_signal_name(-code)}."
        if memory_ran_out and code == -signal.SIGKILL:
            sentence = f"The stage {stage} was killed by the system, which had run out of memory (signal 9)."
        return Ending(code, sentence, was_killed=True, failure=StageFailed(sentence, OUT_OF_MEMORY, exit_code=code))
    failure = _failure(stage, code, said, last_line)
    if full_disk is not None and not (said is not None and said.fresh and said.kind == "failed"):
        failure = StageFailed(f"The disk that holds {full_disk} is full.", MAKE_ROOM, exit_code=code)
    return Ending(code, failure=failure)


def _failure(stage: str, code: int, said: Said | None, last_line: str) -> StageFailed:
    if said is not None and said.fresh and said.kind == "failed":
        return StageFailed(
            f"The stage {stage} failed: {said.data.get('message') or 'it gave no reason.'}",
            str(said.data.get("advice") or ""),
            exit_code=code,
        )
    if code == FINISHED:
        return StageFailed(f"The stage {stage} ended without saying that it is finished.", SEE_LOG, exit_code=code)
    if code == BAD_INPUT and last_line:
        return StageFailed(f"The stage {stage} refused its input: {last_line}", exit_code=code)
    reason = f"The stage {stage} ended with exit code {code}" + (f": {last_line}" if last_line else ".")
    return StageFailed(reason, SEE_LOG, exit_code=code)


def explain(error: Exception) -> StageFailed:
    """Any exception of the runner as a failure with a sentence; what is not understood is a fault of the program."""
    if isinstance(error, StageFailed):
        return error
    if isinstance(error, BuildRefused | JobImpossible | BadConfiguration | BadCheckpoint):
        return StageFailed(str(error), "Nothing that was made is lost.")
    if isinstance(error, StorageFailed):
        return StageFailed(
            str(error),
            "What was made lies in this worker's artifact folder. See that it reaches the storage, and resume.",
        )
    if isinstance(error, WrongPrompts | PromptFileRefused):
        return StageFailed(f"The written prompts cannot be kept: {error}", SEE_LOG)
    if isinstance(error, UnknownReference | DamagedEvents):
        advice = MOVE_ASIDE if isinstance(error, DamagedEvents) else SEE_LOG
        return StageFailed(f"What the stage wrote cannot be taken in: {error}.", advice)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" that holds {error.filename}" if error.filename else ""
        return StageFailed(f"The disk{where} is full.", MAKE_ROOM)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return StageFailed(
            f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}.",
            "See that this worker reaches the artifact folder and may write there, then resume; nothing is lost.",
        )
    return StageFailed(
        f"The runner failed: {type(error).__name__}: {error}",
        "This is a fault of the program; the worker's log has its trace. Everything done so far is kept.",
        is_fault=True,
    )


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
