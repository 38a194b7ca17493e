"""Stages forked from a process that has their imports (`core/warm.py`), which a worker keeps once it has needed one.

What is forked is a child of this process like any other: its end is waited for here, with its exit code or signal, and
its id is nobody else's until then. Where that cannot be had (GPUs, no Linux, `WARM_STAGES=0`, a stage without a model,
anything going wrong), the answer is None and the stage is started from nothing.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings

from training_app import placement
from training_app.core.errors import BadInput
from training_app.core.imports import modules_for
from training_app.core.job import read_job
from training_app.core.stage import LIFELINE

PROGRAM = ("-m", "training_app.core.warm", LIFELINE)
PATIENCE_S = 180.0
"""How long its imports may take on a busy machine before the stage is started from nothing."""

OTHER_GPUS = (Path("/dev/kfd"), Path("/dev/dxg"))
PR_SET_CHILD_SUBREAPER = 36

log = logging.getLogger(__name__)


class ForkedStage:
    """A stage that was forked for this process, with what is asked of a `subprocess.Popen`. `stdin` is its lifeline."""

    def __init__(self, pid: int, stdin: IO[bytes]) -> None:
        self.pid, self.stdin = pid, stdin
        self.returncode: int | None = None

    def wait(self) -> int:
        """Its exit code, negative for the signal that killed it."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


class WarmProcess:
    """The process that stages are forked from, for this process alone: it ends when this one does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.owner = os.getpid()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(PATIENCE_S)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, *PROGRAM], stdin=theirs.fileno(), env=self.environment, cwd=settings.BASE_DIR
            )

    def serves(self, environment: Mapping[str, str]) -> bool:
        """Whether it can be asked for a stage with this environment: much of it was read by the imports."""
        return self.owner == os.getpid() and self.environment == environment and self.process.poll() is None

    def fork(self, job: Path, *, folder: Path, given: int, output: int) -> int:
        """The id of the stage that does `job`, a child of this process. Raises OSError, or ValueError with a reason."""
        with _adopting_orphans():
            message = json.dumps({"job": str(job), "folder": str(folder)}).encode()
            socket.send_fds(self._socket, [message], [given, output])
            answer = json.loads(self._socket.recv(4096) or b'{"refused": "It has ended."}')
        if "pid" not in answer:
            raise ValueError(answer["refused"])
        pid = int(answer["pid"])
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # it is ours, or this raises ChildProcessError
        return pid

    def close(self) -> None:
        """End it; stages that were forked go on."""
        self._socket.close()
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()


_lock = threading.Lock()
_warm: WarmProcess | None = None


def can_be_forked(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether `command` is a single stage program that needs heavy imports, in a place where forking it is safe."""
    if list(command[1:3]) != ["-m", "training_app.core.stage"] or command[-1] != LIFELINE or not is_safe(environment):
        return False
    try:
        return bool(modules_for(read_job(Path(command[3]))))
    except BadInput:
        return False  # the stage says it better


def is_safe(environment: Mapping[str, str], *, other_gpus: Sequence[Path] = OTHER_GPUS) -> bool:
    """Whether stages may be forked here: wanted, on Linux, no GPU that a stage would see. Initialises nothing."""
    no_gpus = placement.gpus_of(environment) == 0 and not any(path.exists() for path in other_gpus)
    return bool(settings.WARM_STAGES) and sys.platform == "linux" and no_gpus


def fork_stage(job: Path, *, folder: Path, output: int, environment: Mapping[str, str]) -> ForkedStage | None:
    """The stage program on `job`, forked; None where it has to be started from nothing, and the log says why."""
    global _warm
    with _lock:
        given, held = os.pipe()
        try:
            if _warm is None or not _warm.serves(environment):
                end()
                _warm = WarmProcess(environment)
            pid = _warm.fork(job, folder=folder, given=given, output=output)
        except (OSError, ValueError) as error:
            log.warning("The stage in %s starts from nothing, for it could not be forked: %s", folder, error)
            os.close(held)
            end()
            return None
        finally:
            os.close(given)
        return ForkedStage(pid, os.fdopen(held, "wb"))


def end() -> None:
    """End the process that stages are forked from, if there is one; the next stage makes another."""
    global _warm
    if _warm is not None:
        _warm.close()
    _warm = None


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Have the kernel give orphans among our descendants to us, and not to the first process. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "The kernel gives orphans to the first process only.")
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
