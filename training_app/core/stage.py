"""A stage is a program: ``python -m training_app.core.stage JOB.json [--lifeline]``.

Plain files in (the job and what it names), plain files out (`events.jsonl`, JSONL outputs, a checkpoint folder). No
Django and no database, so the same job runs under the app's worker, by hand, or on a cluster. Started again, it goes on
where it was; started when it is finished, it does nothing.

Exit codes: 0 finished · 1 failed (the "failed" event says why; a bug leaves its traceback in the log) · 2 bad input,
one sentence · 3 stopped on request (SIGTERM or SIGINT: the batch or save under way is finished first).

``--lifeline``: the parent gives a pipe as standard input and keeps the other end open. When it closes, because the
parent died, the stage stops as on SIGTERM, and is ended after `LIFELINE_GRACE` seconds if it has not.

Under `accelerate launch` several processes run one job (`spread.py`). Only the first holds the folder's lock and writes
events, log and checkpoint; the others read, compute, and say nothing.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import importlib
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from training_app.core.errors import BadInput, DiskFull, OutOfMemory, StageError, Stopped, is_out_of_memory
from training_app.core.events import EventLog, SilentLog, read_events
from training_app.core.imports import import_for
from training_app.core.job import Job, read_job
from training_app.core.manifest import read_manifest
from training_app.core.spread import rank

STAGES: dict[str, str] = {
    "generate": "training_app.core.generate:run",
    "revise": "training_app.core.critique:run",
    "sft": "training_app.core.sft:run",
    "sample": "training_app.core.sample:run",
    "label": "training_app.core.feedback:run",
    "reward": "training_app.core.reward_model:run",
    "rl": "training_app.core.rl:run",
    "dpo": "training_app.core.dpo:run",
    "evaluate": "training_app.core.evaluate:run",
    "write": "training_app.core.write_prompts:run",
    "judge_eval": "training_app.core.judge_eval:run",
    "chat": "training_app.core.chat:run",
    "sign": "training_app.core.signing:run",
    "push": "training_app.core.hub:run",
}
"""Where each stage's ``run(job, events, should_stop)`` lives; imported only when it is that stage's turn."""

StageRun = Callable[[Job, EventLog, Callable[[], bool]], None]

FINISHED, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 3
LIFELINE = "--lifeline"
"""The argument that only the stage programs of workers are started with, and what those are forked from (`warm.py`)."""
LIFELINE_GRACE = 10.0
LOCK = ".lock"

log = logging.getLogger("training_app.core.stage")


def main(
    arguments: Sequence[str] | None = None, *, stop: threading.Event | None = None,
    prepare: Callable[[Job], None] = import_for,
) -> int:  # fmt: skip
    """Run the job named on the command line; returns the exit code. `stop` is set once it is asked to stop.

    `prepare` is called before the work, and imports what it needs; a program whose stages need nothing gives another.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training_app.core.stage", description="Run one stage from its job file."
    )
    parser.add_argument("job", type=Path, metavar="JOB.json")
    parser.add_argument(LIFELINE, action="store_true", help="stop when standard input is closed (the parent died)")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if rank() == 0 else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stdout,
        force=True,
    )
    stop = stop or threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.lifeline:
        threading.Thread(target=_watch_lifeline, args=(stop,), name="lifeline", daemon=True).start()
    stay_offline()
    wait_asleep()
    return run_job(options.job, stop.is_set, prepare=prepare)


def run_job(
    job_file: Path, should_stop: Callable[[], bool], *, prepare: Callable[[Job], None] = lambda job: None
) -> int:
    """Run one job to an exit code. Everything that can go wrong ends as an event and a sentence on standard error.

    `prepare` is called once there is something to do.
    """
    try:
        job = read_job(job_file)
        if rank() > 0:  # one of several processes: the first alone holds the folder and writes into it
            return _run(job, SilentLog(job.out), should_stop, prepare)
        with exclusive(job.out), EventLog(job.out) as events:
            _forget_failures(job.out)
            return _run(job, events, should_stop, prepare)
    except BadInput as error:
        return _say(error)
    except OSError as error:
        return _say(DiskFull(*_disk_full(job_file.parent)) if _is_disk_full(error) else BadInput(f"{error}."))


def _run(job: Job, events: EventLog, should_stop: Callable[[], bool], prepare: Callable[[Job], None]) -> int:
    if events.identity not in (None, job.identity()):
        return _say(BadInput(f"{events.path} belongs to another job.", "Give every job an out folder of its own."))
    if events.is_finished and is_whole(job.out, events):
        log.info("%s is already finished; nothing to do.", job.stage)
        return FINISHED
    events.identity = job.identity()
    try:
        prepare(job)
        stage_function(job.stage)(job, events, should_stop)
    except Stopped:
        events.stopped()
        log.info("%s stopped at %d of %d.", job.stage, events.done, events.total)
        return STOPPED
    except BaseException as error:
        failure = explain(error, job)
        if rank() > 0:
            _leave_failure(job.out, failure)
        elif (first := _failure_of_another(job.out)) is not None:
            failure = first
        if failure.kind == "bug":
            traceback.print_exc(file=sys.stdout)
        events.failed(failure)
        return _say(failure)
    log.info("%s finished.", job.stage)
    return FINISHED


def is_whole(out: Path, events: EventLog) -> bool:
    """Whether everything a finished stage said it left is there: its output files, and every file of its checkpoint."""
    for event in read_events(events.path):
        if event["kind"] == "finished" and not all(
            (out / output["path"]).is_file() for output in event["outputs"].values()
        ):
            return False
        if event["kind"] == "checkpoint":
            manifest = read_manifest(out / event["path"])
            files = (manifest or {}).get("files") or {}
            if not files or not all((out / event["path"] / name).is_file() for name in files):
                return False
    return True


def _leave_failure(out: Path, failure: StageError) -> None:
    """Another process than the first says why it ends, for the first to tell: that one only sees its partner gone."""
    text = json.dumps({"kind": failure.kind, "message": failure.message, "advice": failure.advice})
    aside = out / f".failed-{rank()}.partial"
    aside.write_text(text, encoding="utf-8")
    aside.replace(out / f".failed-{rank()}.json")


def _failure_of_another(out: Path) -> StageError | None:
    for path in sorted(out.glob(".failed-*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        failure = StageError(told["message"], told["advice"])
        failure.kind = told["kind"]
        return failure
    return None


def _forget_failures(out: Path) -> None:
    for path in out.glob(".failed-*"):
        path.unlink(missing_ok=True)


def stage_function(stage: str) -> StageRun:
    """The `run` of a stage, imported now. Raises BadInput for an unknown stage."""
    if stage not in STAGES:
        raise BadInput(f"There is no stage {stage!r}; stages are {', '.join(STAGES)}.")
    module, name = STAGES[stage].split(":")
    run: StageRun = getattr(importlib.import_module(module), name)
    return run


def explain(error: BaseException, job: Job) -> StageError:
    """Any exception as a StageError with a sentence and advice; what is not understood stays a bug."""
    for cause in _causes(error):
        if isinstance(cause, StageError):
            return cause
        if _is_disk_full(cause):
            return DiskFull(*_disk_full(job.out))
        if is_out_of_memory(cause):
            return OutOfMemory(
                f"The stage {job.stage} ran out of memory.",
                "Resume where more memory is free (what was done is kept), or clone the run with a smaller batch, "
                "shorter texts or a smaller model.",
            )
    return StageError(f"{type(error).__name__}: {error}", "This is a fault of the program; the log has its trace.")


@contextmanager
def exclusive(out: Path) -> Iterator[None]:
    """Hold `out` for this process alone; two processes never write one folder. Raises BadInput when it is held."""
    out.mkdir(parents=True, exist_ok=True)
    file = os.open(out / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(f"Another process is already working in {out}.", "Wait for it or stop it first.") from error
        yield
    finally:
        os.close(file)


def stay_offline() -> None:
    """A stage reads what its job names and nothing else: no hub, no telemetry, no progress bars in the log."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def wait_asleep() -> None:
    """Let torch's threads sleep while they wait for one another; read once, when torch is first imported.

    By default they spin: on a processor that others use too, the spinning thread keeps its partner off the core, and
    two threads take three to ten times as long as one (measured). On an idle machine sleeping costs next to nothing.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _watch_lifeline(stop: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stop.set()
    threading.Event().wait(LIFELINE_GRACE)
    os._exit(STOPPED)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "No space left on device" in str(error)  # safetensors raises its own kind


def _disk_full(folder: Path) -> tuple[str, str]:
    return (f"The disk that holds {folder} is full.", "Make room and resume; everything written so far is kept.")


def _say(error: StageError) -> int:
    print(" ".join(part for part in (error.message, error.advice) if part), file=sys.stderr, flush=True)
    return BAD_INPUT if isinstance(error, BadInput) else FAILED


if __name__ == "__main__":
    sys.exit(main())
