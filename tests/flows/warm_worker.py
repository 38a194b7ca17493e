"""The Celery application with real stages that begin with torch and the trainers imported; all else is the product's.

Importing them takes longer than a whole stage of a tiny model. Here each stage is forked from the worker, which has
imported them once: the real stage program in a process, session, folder and environment of its own, with the same
lifeline, log and exit codes. That a stage starts from nothing as well, tests/e2e/test_whole_line.py tells.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn

from celery.signals import worker_process_init

from cai_web.celery import app
from training_app.core import stage as program

__all__ = ["app"]

program.stay_offline()
program.wait_asleep()
import trl.trainer.grpo_trainer  # noqa: E402  # offline first; imported for whoever is forked
import trl.trainer.reward_trainer  # noqa: E402
import trl.trainer.sft_trainer  # noqa: E402, F401


class Forked:
    """What a runner asks of a process, for one that was forked."""

    def __init__(self, pid: int, stdin: IO[bytes]) -> None:
        self.pid, self.stdin = pid, stdin
        self.returncode: int | None = None

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def fork_stage(arguments: Sequence[str], *, folder: Path, log: Path) -> Forked:
    """Starts the stage program with `arguments`; its standard input is the lifeline."""
    lifeline, held = os.pipe()
    with log.open("ab") as output:
        pid = os.fork()
        if pid == 0:
            _be_the_stage(arguments, folder, lifeline, output.fileno())
    os.close(lifeline)
    return Forked(pid, os.fdopen(held, "wb"))


def _be_the_stage(arguments: Sequence[str], folder: Path, lifeline: int, output: int) -> NoReturn:
    """In the forked process: as if started by itself. The worker's files and connections are not its own."""
    from training_app.stage_process import stage_environment

    code = 1
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for source, place in ((lifeline, 0), (output, 1), (output, 2)):
            os.dup2(source, place)
        os.closerange(3, 4096)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        os.chdir(folder)
        environment = stage_environment(os.environ)
        os.environ.clear()
        os.environ.update(environment)
        code = program.main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


@worker_process_init.connect(weak=False)
def use_forked_stages(**_: object) -> None:
    """In the pool's process, once Django is ready: how a runner starts a stage."""
    from training_app import runner
    from training_app.stage_process import StageProcess

    class WarmStage(StageProcess):
        def __init__(self, command: Sequence[str], *, folder: Path, log: Path) -> None:
            module = command.index("training_app.core.stage")
            self._process = fork_stage(command[module + 1 :], folder=folder, log=log)  # type: ignore[assignment]  # what the runner asks of it is there

    runner.StageProcess = WarmStage  # type: ignore[attr-defined]  # a kind of it in its place, for this process
