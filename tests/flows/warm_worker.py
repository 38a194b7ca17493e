"""The Celery application with real stages that begin with torch and the trainers imported; all else is the product's.

Importing them takes longer than a whole stage of a tiny model. Here each stage is forked from the worker, which has
imported them once: the real stage program in a process, session, folder and environment of its own, with the same
lifeline, log and exit codes. That a stage starts from nothing as well, tests/e2e/test_whole_line.py tells.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from celery.signals import worker_process_init

import tests.warm_imports  # noqa: F401  # for whoever is forked
from cai_web.celery import app
from tests.warm import become

__all__ = ["app"]


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
            become(
                "training_app.core.stage", arguments, folder=folder, given=lifeline, output=output.fileno(),
                environment=_environment,
            )  # fmt: skip
    os.close(lifeline)
    return Forked(pid, os.fdopen(held, "wb"))


def _environment() -> dict[str, str]:
    from training_app.stage_process import stage_environment

    return stage_environment(os.environ)


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
