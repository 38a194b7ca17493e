"""Keeps a handful of child processes running: starts them, says when one dies, starts it again, stops them all.

It knows nothing of what the children do; `manage.py up` says which there are.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cai_web.services.processes import gone, tail, wait_until

LOG_LIMIT = 10_000_000
FIRST_PAUSE_S = 0.2  # what dies once in a while is missed at once; a crash loop soon waits longer
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0  # a child that ran this long starts again without a longer pause
POLITE_S = 5.0  # how long children may take to end by themselves; the whole stop must stay under ten seconds
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process to keep running. `once=True` marks a process that is meant to end."""

    name: str
    command: Sequence[str]
    once: bool = False
    keep_open: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE_S
    due: float = 0.0
    finished: bool = False


@dataclass
class Supervisor:
    """Runs children in sessions of their own, so that Ctrl-C reaches only the supervisor, which then stops them."""

    logs: Path
    environment: dict[str, str]
    say: Callable[[str], None]
    children: list[Child] = field(default_factory=list)

    def start(self, child: Child) -> None:
        """Starts `child`, its output going to the end of `logs/NAME.log`."""
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self.log_of(child)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                pass_fds=child.keep_open,
                preexec_fn=_end_with_parent(),  # safe: the supervisor has no other thread
            )
        child.started = time.monotonic()
        if child not in self.children:
            self.children.append(child)

    def look(self) -> None:
        """Notices children that ended and starts those whose pause is over. Call it every now and then."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and (code := child.process.poll()) is not None:
                child.process = None
                self._ended(child, code, now)
            if child.process is None and not child.finished and now >= child.due:
                self.start(child)

    def stop(self, asked_too: Callable[[psutil.Process], bool] = lambda process: False) -> None:
        """Ends every child and all that they started, within POLITE_S and a little.

        Descendants for which `asked_too` is true are asked to end together with the children, not only through them.
        Where force is needed it meets them last: whoever watches over them must not live to report their death.
        """
        alive = [child.process for child in self.children if child.process is not None]
        family = _descendants([process.pid for process in alive])
        asked = {descendant for descendant in family if _safely(asked_too, descendant)}
        for process in alive:
            process.send_signal(signal.SIGTERM)
        for descendant in asked:
            _signal(descendant, signal.SIGTERM)
        wait_until(lambda: all(process.poll() is not None for process in alive), POLITE_S)
        family |= _descendants([process.pid for process in alive if process.poll() is None])
        for process in alive:
            if process.poll() is None:
                process.kill()
        for descendant in [*(family - asked), *asked]:
            _signal(descendant, signal.SIGKILL)
        for process in alive:
            process.wait()
        wait_until(lambda: all(gone(descendant.pid) for descendant in family), 2.0)
        self.children.clear()

    def log_of(self, child: Child) -> Path:
        return self.logs / f"{child.name}.log"

    def _ended(self, child: Child, code: int, now: float) -> None:
        if child.once:
            child.finished = True
            if code != 0:
                self.say(f"{child.name} failed ({_ending(code)}): {tail(self.log_of(child), 3)}")
            return
        if now - child.started > STEADY_AFTER_S:
            child.pause = FIRST_PAUSE_S
        child.due = now + child.pause
        self.say(
            f"The {child.name} process ended ({_ending(code)}); it starts again {_when(child.pause)}. "
            f"Its log is {self.log_of(child)}."
        )
        child.pause = min(child.pause * 2, LONGEST_PAUSE_S)


def _when(pause: float) -> str:
    return "at once" if pause < 1 else f"in {pause:.0f} s"


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _descendants(pids: Sequence[int]) -> set[psutil.Process]:
    found: set[psutil.Process] = set()
    for pid in pids:
        try:
            found.update(psutil.Process(pid).children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return found


def _safely(question: Callable[[psutil.Process], bool], process: psutil.Process) -> bool:
    try:
        return question(process)
    except psutil.Error:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    """Signals that very process: psutil compares the start time first, so a reused id is left alone."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux, has the kernel send SIGTERM to a child whose supervisor was killed outright."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # loaded before the fork
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the supervisor died in between
            os._exit(1)

    return prepare
