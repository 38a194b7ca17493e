"""Real Celery workers and a real sweeper, as processes of their own, for stories that need them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from django.conf import settings

from tests.base import program_environment
from tests.warm import WarmProgram


@dataclass
class Program:
    """One program a test has started, with everything it started in turn."""

    process: subprocess.Popen[bytes] | WarmProgram
    log: Path
    family: set[psutil.Process] = field(default_factory=set)

    def stages(self) -> list[psutil.Process]:
        """The stages it is running, started or forked: each leads a session of its own."""
        return [one for one in self._children() if _leads_a_session(one)]

    def kill_group(self) -> None:
        """kill -9 of the worker with its pool, all at once; its stages live in process groups of their own."""
        pool = [one for one in self._children() if os.getpgid(one.pid) == os.getpgid(self.process.pid)]
        for one in [psutil.Process(self.process.pid), *pool]:
            one.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """As a supervisor does: SIGTERM, then SIGKILL for whatever is left of the family."""
        family = self._children()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for one in {*family, *self.family}:
            if one.is_running():
                one.kill()

    def _children(self) -> list[psutil.Process]:
        if self.process.poll() is not None:
            return []
        found = psutil.Process(self.process.pid).children(recursive=True)
        self.family.update(found)
        return found


def _leads_a_session(process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == process.pid
    except ProcessLookupError:
        return False


@contextmanager
def gpu_worker(folder: Path, *, app: str = "cai_web", name: str = "gpu") -> Iterator[Program]:
    """A Celery worker on the gpu queue. `app` "tests.flows.scripted_worker" runs the scripted stages."""
    with _program(folder / f"{name}.log", "-m", "celery", *_worker(app, name)) as program:
        yield program


@contextmanager
def warm_gpu_worker(folder: Path, *, name: str = "gpu") -> Iterator[Program]:
    """A Celery worker on the gpu queue that has imported the trainers, and forks its stages (warm_worker.py)."""
    log = folder / f"{name}.log"
    arguments = _worker("tests.flows.warm_worker", name)
    process = WarmProgram(
        "celery.__main__", arguments, folder=settings.BASE_DIR, log=log, environment=program_environment()
    )
    with _stopped(Program(process, log)) as program:
        yield program


def _worker(app: str, name: str) -> list[str]:
    options = ["--queues", "gpu", "--concurrency", "1", "--pool", "prefork", "--hostname", f"{name}@%h"]
    quick = ["--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel", "INFO"]
    return ["--app", app, "worker", *options, *quick]


@contextmanager
def sweeper(folder: Path) -> Iterator[Program]:
    """`manage.py sweep`, looking often."""
    with _program(folder / "sweeper.log", "manage.py", "sweep", "--every", "0.2") as program:
        yield program


@contextmanager
def _program(log: Path, *arguments: str) -> Iterator[Program]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=settings.BASE_DIR,
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with _stopped(Program(process, log)) as program:
        yield program


@contextmanager
def _stopped(program: Program) -> Iterator[Program]:
    try:
        yield program
    finally:
        program.stop()
