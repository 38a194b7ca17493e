"""Programs that begin with torch and the trainers imported: forked from one process that has imported them once.

Importing them takes five seconds of processor time, longer than a whole stage of a tiny model. What is forked here is
the real program in a process, session, folder and environment of its own, with a log and a lifeline. How the product
forks its stages is told by tests/training_app/test_warm_stages.py and tests/e2e/test_whole_line.py, that they start
from nothing as well by tests/training_app/core/test_spread.py.

Tests that ask for one belong to the xdist group `warm`, so that one worker alone imports it all.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from training_app.core.warm import stand_alone

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.warm_imports"])


class WarmProgram:
    """`python -m MODULE ARGUMENTS` without the imports, with the interface of a `subprocess.Popen`.

    `log` gets what it prints. While `lifeline` is open, so is its standard input; there is none with `lifeline=False`.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str],
        lifeline: bool = False,
    ) -> None:  # fmt: skip
        reading, writing = _CONTEXT.Pipe(duplex=False)
        self.lifeline = writing if lifeline else None
        told = (module, list(arguments), str(folder), str(log), dict(environment), reading if lifeline else None)
        self._process = _CONTEXT.Process(target=_be, args=told)
        self._process.start()
        reading.close()
        if not lifeline:
            writing.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0)
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def warm_stage(job: Path, *arguments: str, lifeline: bool = False) -> WarmProgram:
    """The stage program on `job`, with a log beside it."""
    told = [str(job), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return WarmProgram(
        "training_app.core.stage", told, folder=job.parent, log=job.parent / "log.txt", environment=environment,
        lifeline=lifeline,
    )  # fmt: skip


def _be(
    module: str, arguments: Sequence[str], folder: str, log: str, environment: Mapping[str, str],
    lifeline: Connection | None,
) -> None:  # fmt: skip
    """In the process forked for it: where its input comes from and its output goes, then the program."""
    given = lifeline.fileno() if lifeline is not None else os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    become(module, arguments, folder=Path(folder), given=given, output=output, environment=lambda: environment)


def become(
    module: str, arguments: Sequence[str], *, folder: Path, given: int, output: int,
    environment: Callable[[], Mapping[str, str]],
) -> NoReturn:  # fmt: skip
    """Makes of a process that was just forked the program `module`, as if started by itself.

    It leads a session, reads from the descriptor `given` and writes to `output`; no other file or connection of whom it
    was forked from stays its own.
    """
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        stand_alone(folder=folder, given=given, log=output)
        os.closerange(3, 4096)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        own = dict(environment())
        os.environ.clear()
        os.environ.update(own)
        sys.argv = [module, *arguments]
        code = importlib.import_module(module).main() or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
