"""The stage program, started ahead: ``python -m training_app.core.warm --lifeline``, with a worker at standard input.

A worker on a processor starts one of these and asks it for stages (`warm_stages.py`). It imports what a stage needs,
the first time it is asked for such a one, and forks. What is forked is `stage.py` in a session, folder and log of its
own, with nothing but the imports behind it, and it ends as any program does. It is an orphan at once, so the kernel
gives it to the worker, which has it as a child of its own as if it had started it from nothing.

A fork copies one thread only, so none but this one may run when it forks; otherwise it refuses. It never computes, and
is never used where there is a GPU (decision 7).

The worker sends one message a stage over a socket of whole messages (SOCK_SEQPACKET), ``{"job": path, "folder": path}``
in JSON with two descriptors, standard input and log. The answer is ``{"pid": number}`` or ``{"refused": reason}``. When
the worker has gone, or has asked for nothing in `IDLE_S` seconds, this ends. Asked to stop (SIGTERM), it passes that on
to the stages that it is still asked for: their worker is ending, and looks for programs with ``--lifeline`` to ask.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_app.core import stage
from training_app.core.imports import import_for
from training_app.core.job import read_job

IDLE_S = 900.0
"""It holds half a gigabyte, which a machine may want back when nothing has run for a quarter of an hour."""

MESSAGE = 65536
"""Bytes of the longest message."""


class Refused(Exception):
    """No stage was forked; the message says why."""


@dataclass(frozen=True)
class Order:
    """A stage to be forked, with the descriptors that become its standard input and its log."""

    job: Path
    folder: Path
    given: int
    log: int

    def let_go(self) -> None:
        """Close the descriptors; the stage has copies of its own."""
        os.close(self.given)
        os.close(self.log)


def main() -> int:
    """Serve the worker at standard input; in a forked stage, be that stage. Returns the exit code."""
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")  # the one thread that an import starts
    stage.stay_offline()
    stage.wait_asleep()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.disable()
    worker = _worker_at_standard_input()
    while (order := _next_order(worker)) is not None:
        answer: dict[str, Any]
        try:
            import_for(read_job(order.job))
            _refuse_beside_threads()
            pid = fork_an_orphan()
        except Exception as error:  # whatever it is, the stage can be started from nothing, and says it better
            answer = {"refused": f"{type(error).__name__}: {error}"}
        else:
            if pid == 0:
                worker.close()
                stand_alone(folder=order.folder, given=order.given, log=order.log)
                order.let_go()
                gc.enable()
                return stage.main([str(order.job), stage.LIFELINE], stop=stop)
            answer = {"pid": pid}
        order.let_go()
        worker.send(json.dumps(answer).encode())
    return 0


def stand_alone(*, folder: Path, given: int, log: int) -> None:
    """Make of a process that was just forked one that leads a session, reads from `given` and writes to `log`."""
    os.setsid()
    for source, place in ((given, 0), (log, 1), (log, 2)):
        os.dup2(source, place)
    os.chdir(folder)


def fork_an_orphan() -> int:
    """Fork by way of a process that ends at once. Returns 0 in what was forked, its id here. Raises Refused."""
    reading, writing = os.pipe()
    if between := os.fork():
        os.close(writing)
        os.waitpid(between, 0)
        with os.fdopen(reading, "rb") as told:
            number = told.read()
        if not number:
            raise Refused("The system has no room for another process.")
        return int(number)
    try:
        pid = os.fork()
        if pid:
            os.write(writing, str(pid).encode())
    except OSError:
        pid = -1
    if pid:
        os._exit(0)
    os.close(reading)
    os.close(writing)
    return 0


def _worker_at_standard_input() -> socket.socket:
    """The socket, moved away from standard input, which no import may read."""
    worker = socket.socket(fileno=os.dup(0))
    worker.settimeout(IDLE_S)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return worker


def _next_order(worker: socket.socket) -> Order | None:
    """What the worker asks for next; None when it will ask for nothing more."""
    try:
        message, descriptors, _, _ = socket.recv_fds(worker, MESSAGE, 2)
    except (TimeoutError, ConnectionError):
        return None
    if not message:
        return None
    told = json.loads(message)
    return Order(Path(told["job"]), Path(told["folder"]), *descriptors)


def _refuse_beside_threads() -> None:
    """Raise Refused where another thread runs. OpenBLAS has some, and lets go of them at the first fork."""
    if _threads() == 1:
        return
    if (trial := os.fork()) == 0:
        os._exit(0)
    os.waitpid(trial, 0)
    if (count := _threads()) > 1:
        raise Refused(f"{count} threads run, of which a fork would copy one.")


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


if __name__ == "__main__":
    sys.exit(main())
