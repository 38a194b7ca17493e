"""Finding and ending the server processes of one data folder.

A process id in a file proves nothing: after a crash it may belong to anybody. A process counts as *ours* when it has
the server's name and works in the data folder: both servers change into theirs, and so do PostgreSQL's helpers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

LOG_LIMIT = 5_000_000


def is_ours(pid: int, name: str, folder: Path) -> bool:
    """True when process `pid` is a live server called `name` that works in `folder`."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith(name):
            return False
        try:
            return os.path.realpath(process.cwd()) == os.path.realpath(folder)
        except psutil.AccessDenied:
            return str(folder) in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def all_of(name: str, folder: Path) -> list[int]:
    """Every live process called `name` that works in `folder`, by reading the whole process table."""
    return [pid for pid in psutil.pids() if is_ours(pid, name, folder)]


def launch(command: Sequence[str], log: Path) -> int:
    """Starts a server in a session of its own, its output in `log`, and returns its process id.

    The shell in between ends at once, so the server is nobody's child: it leaves no zombie behind whoever stops it, and
    neither Ctrl-C nor the end of this process reaches it.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    started = subprocess.run(
        ["/bin/sh", "-c", 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null & echo $!', "sh", str(log), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
        cwd="/",
    )
    return int(started.stdout)


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Asks `done` every few milliseconds and returns its last answer, at the latest after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return True


def gone(pid: int) -> bool:
    """True when no live process has this id (a zombie is not alive)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end(pid: int, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """Sends each signal in turn, waiting its seconds for the process to go. Returns whether it went."""
    for number, seconds in steps:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        if wait_until(lambda: gone(pid), seconds):
            return True
    return False


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, on one line, for an error message."""
    if not log.exists():
        return "(no log)"
    text = log.read_text(encoding="utf-8", errors="replace")
    return " / ".join(text.strip().splitlines()[-lines:])
