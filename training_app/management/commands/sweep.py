"""`manage.py sweep`: wakes workers for queued runs and takes back the runs of workers that went away, until stopped."""

from __future__ import annotations

import os
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from constitutions_app.tasks import wake_for_mail, wake_for_vectors
from training_app.sweeper import Sweeper, Swept, try_lock
from training_app.tasks import (
    wake,
    wake_for_chat,
    wake_for_export,
    wake_for_judge,
    wake_for_numbers,
    wake_for_release_work,
)

EVERY_S = 2.0


class Command(BaseCommand):
    help = "Wakes GPU workers for queued runs and requeues the runs of workers that went away. Runs until stopped."
    requires_system_checks = []  # they import every page; after a crash runs wait for the sweeper's first pass

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="one pass, then end")
        parser.add_argument("--every", type=float, default=EVERY_S, metavar="SECONDS", help="pause between two passes")

    def handle(self, *args: Any, **options: Any) -> None:
        over = threading.Event()
        if not options["once"]:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: over.set())
        sweeper = Sweeper(
            wake,
            wake_for_judge,
            wake_for_mail,
            wake_for_vectors,
            wake_for_numbers,
            wake_for_chat,
            wake_for_release_work,
            wake_for_export,
        )
        supervisor = int(os.environ.get("SUPERVISOR", os.getppid()))  # the kernel's word of its death can be lost
        while not over.is_set() and os.getppid() == supervisor:
            self._pass(sweeper)
            if options["once"]:
                return
            over.wait(options["every"])

    def _pass(self, sweeper: Sweeper) -> None:
        """One pass, unless another sweeper is at work. A database that does not answer is asked again next time."""
        try:
            if try_lock():
                self._say(sweeper.sweep())
        except (DatabaseError, InterfaceError) as error:
            self.stderr.write(f"The database does not answer; trying again: {error}")
            connection.close()

    def _say(self, swept: Swept) -> None:
        done = {"requeued": swept.requeued, "cancelled": swept.cancelled, "lost": swept.lost}
        if any(done.values()):
            self.stdout.write(", ".join(f"{count} {what}" for what, count in done.items() if count))
            self.stdout.flush()
