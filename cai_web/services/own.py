"""Who uses the app's own services, and what that means: the first one in starts them, the last one out stops them."""

from __future__ import annotations

import atexit
import hashlib
import os
import stat
import tempfile
import threading
from pathlib import Path

from cai_web.services.errors import ServiceError
from cai_web.services.lock import SharedLock, exclusive
from cai_web.services.postgres import DATABASE, PORT, USER, Postgres
from cai_web.services.redis import Redis

SOCKET_PATH_LIMIT = 100  # bytes; the kernel's own limit is 104 to 108


def socket_folder(var: Path) -> Path:
    """Where the sockets of this `var` folder lie. The same answer in every process; creates nothing.

    A socket's path may not be longer than about a hundred bytes, so a deep `var` gets a short folder elsewhere, named
    by a digest of its path. (The fixed /tmp, not TMPDIR: every process must find the same place.)
    """
    folder = var / "run"
    if len(os.fsencode(folder / f".s.PGSQL.{PORT}.lock")) < SOCKET_PATH_LIMIT:
        return folder
    temporary = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:16]
    return temporary / f"cai-{os.getuid()}-{digest}"


def make_private(folder: Path) -> None:
    """Creates `folder` for this user alone. Raises ServiceError where somebody else has put something there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ServiceError(f"{folder} does not belong to you: remove it, or run this as the user who owns it.")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


class OwnServices:
    """The app's own PostgreSQL and Redis for one `var` folder. Making this object starts and touches nothing."""

    def __init__(self, var: Path, *, postgres: bool = True, redis: bool = True, durable: bool = True) -> None:
        self.var = var
        self.sockets = socket_folder(var)
        self.postgres = Postgres(var / "postgres", self.sockets, var / "log" / "postgres.log", durable)
        self.redis = Redis(var / "redis", self.sockets, var / "log" / "redis.log")
        self._wanted: tuple[Postgres | Redis, ...] = (
            *((self.postgres,) if postgres else ()),
            *((self.redis,) if redis else ()),
        )
        self.may_start = True  # a command that can do without the services sets this to False
        self._users = SharedLock(var / "services.lock")
        self._mutex = threading.Lock()
        # A lock copied by fork while another thread held it would never open again in the child.
        os.register_at_fork(after_in_child=self._after_fork)

    @property
    def database(self) -> dict[str, str]:
        """Django's database settings for the app's own PostgreSQL."""
        return {"NAME": DATABASE, "USER": USER, "PASSWORD": "", "HOST": str(self.sockets), "PORT": str(PORT)}

    @property
    def broker_url(self) -> str:
        """Celery's address of the app's own Redis."""
        return f"redis+socket://{self.redis.socket}?virtual_host=0"

    @property
    def has_postgres(self) -> bool:
        """True when the database is the app's own."""
        return self.postgres in self._wanted

    def ensure(self, *, again: bool = False) -> None:
        """Makes this process a user of the services and starts what does not run.

        Costs nothing after the first call; `again=True` looks again, for callers whose connection was refused.
        Raises ServiceError, in one sentence, where a service cannot be had.
        """
        if not self._wanted or (self._users.held and not again):
            return
        if not self.may_start:
            raise ServiceError("This command does not start the app's own services.")
        with self._mutex:
            if not self._users.held:
                self._users.take()
                atexit.register(self.release)
            try:
                self._start_missing()
            except ServiceError:
                self._leave()
                raise

    def release(self) -> None:
        """Ends this process's use of the services; the last user stops them. Safe to call at any time."""
        with self._mutex:
            self._leave()

    def running(self) -> dict[str, int]:
        """The process ids of the servers that live now, by name. Starts nothing."""
        found = {service.name: service.pid() for service in self._wanted}
        return {name: pid for name, pid in found.items() if pid is not None}

    def _start_missing(self) -> None:
        if all(service.answering() for service in self._wanted):
            return
        with exclusive(self.var / "services.start.lock"):
            make_private(self.sockets)
            for service in self._wanted:
                if not service.answering():
                    service.start()

    def _leave(self) -> None:
        with self._users.leave() as last:
            if last:
                for service in reversed(self._wanted):
                    service.stop()
        atexit.unregister(self.release)

    def _after_fork(self) -> None:
        self._mutex = threading.Lock()
