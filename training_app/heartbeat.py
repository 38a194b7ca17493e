"""The lease renewed by a thread of its own, so that nothing the runner does, however slow, lets it end."""

from __future__ import annotations

import logging
import threading
import time

from django.db import DatabaseError, InterfaceError, connection

from training_app import leases
from training_app.models.run import RunState

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews a lease every `every_s` seconds from `with` to its end.

    A database that does not answer is asked again until the lease must have ended; then, and when somebody else has the
    run, `check` raises LeaseLost.
    """

    def __init__(self, lease: leases.Lease, *, every_s: float) -> None:
        self.lease = lease
        self._every_s = every_s
        self._state = RunState.RUNNING
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of {lease.run_id}", daemon=True)

    def check(self) -> bool:
        """Whether people have asked the run to stop. Raises LeaseLost when it is not ours any more."""
        if self._lost:
            raise leases.LeaseLost(f"The lease of run {self.lease.run_id} could not be renewed.")
        return self._state == RunState.STOPPING

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        renewed_at = time.monotonic()
        try:
            while not self._lost:
                began = time.monotonic()
                try:
                    self._state = leases.renew(self.lease)
                    renewed_at = began
                except leases.LeaseLost:
                    self._lost = True
                except (DatabaseError, InterfaceError) as error:
                    log.warning("The lease of run %s was not renewed: %s", self.lease.run_id, error)
                    connection.close()
                    self._lost = time.monotonic() - renewed_at > leases.DURATION.total_seconds()
                if self._over.wait(self._every_s):
                    return
        finally:
            connection.close()
