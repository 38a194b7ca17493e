"""File locks: who uses the services, and who may start them.

`flock` locks belong to an open file, the kernel drops them when the last process holding it ends (kill -9 included),
so a lock here never goes stale.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cai_web.services.errors import ServiceError

PATIENCE_S = 90.0


def _open(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _take(descriptor: int, kind: int, path: Path) -> None:
    """Waits for the lock, but not for ever. Raises ServiceError after PATIENCE_S seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"Another process has held {path} for more than {PATIENCE_S:.0f} seconds while it starts or stops "
                    "the app's own services: wait for it or end it, then try again."
                ) from None
            time.sleep(0.01)
        else:
            return


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds `path` alone for the length of the block. Raises ServiceError if that takes too long."""
    descriptor = _open(path)
    try:
        _take(descriptor, fcntl.LOCK_EX, path)
        yield
    finally:
        os.close(descriptor)


def try_exclusive(path: Path) -> int | None:
    """Takes `path` alone and returns the descriptor that holds it, or None where somebody else has it."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class SharedLock:
    """One user's share in a lock. A forked child counts as the same user; only the process that took it drops it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._owner = 0

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> None:
        """Joins the users. Waits while the last one before us is still stopping the services."""
        if self._descriptor is None:
            descriptor = _open(self.path)
            try:
                _take(descriptor, fcntl.LOCK_SH, self.path)
            except ServiceError:
                os.close(descriptor)
                raise
            self._descriptor, self._owner = descriptor, os.getpid()

    @contextmanager
    def leave(self) -> Iterator[bool]:
        """Leaves the users. The block is told whether it was the last one; if so, nobody can join until it ends."""
        if self._descriptor is None or self._owner != os.getpid():
            yield False
            return
        try:
            # Changing a shared lock into an exclusive one first lets go of it. Of several that leave at once, the last
            # to try therefore finds nobody, and nobody leaves without having tried.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            last = False
        else:
            last = True
        try:
            yield last
        finally:
            os.close(self._descriptor)
            self._descriptor = None
