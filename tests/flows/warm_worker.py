"""The Celery application with real stages that begin with torch and the trainers imported; all else is the product's.

Importing them takes longer than a whole stage of a tiny model. Here each stage is forked from the worker, which has
imported them once for several tests: the real stage program in a process, session, folder and environment of its own,
with the same lifeline, log and exit codes. How the product forks its stages, tests/e2e/test_whole_line.py tells.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from celery.signals import worker_process_init

import tests.warm_imports  # noqa: F401  # for whoever is forked
from cai_web.celery import app
from tests.warm import become

if TYPE_CHECKING:
    from training_app.warm_stages import ForkedStage

__all__ = ["app"]


def fork_here(arguments: Sequence[str], *, folder: Path, log: Path) -> ForkedStage:
    """Starts the stage program with `arguments`; its standard input is the lifeline."""
    lifeline, held = os.pipe()
    with log.open("ab") as output:
        pid = os.fork()
        if pid == 0:
            become(
                "training_app.core.stage", arguments, folder=folder, given=lifeline, output=output.fileno(),
                environment=_environment,
            )  # fmt: skip
    from training_app.warm_stages import ForkedStage

    os.close(lifeline)
    return ForkedStage(pid, os.fdopen(held, "wb"))


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
            self._process = fork_here(command[module + 1 :], folder=folder, log=log)

    mock.patch.object(runner, "StageProcess", WarmStage).start()  # for as long as this process lives
