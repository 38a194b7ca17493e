"""`manage.py up`: everything the app needs, in one terminal, until Ctrl-C. `make run` calls it.

The order is chosen so that pages answer as early as possible: port, services, tables, web server; only then the
workers, which take longer to start and which no page waits for. It lives in cai_web because it is wiring: it knows
which processes there are and nothing of what they do.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from types import FrameType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from cai_web.auth import one_time_path
from cai_web.collected import collect_if_changed
from cai_web.services import ServiceError
from cai_web.services.lock import try_exclusive
from cai_web.settings import flag, text
from cai_web.sockets import beside, listen
from cai_web.supervisor import Child, Supervisor
from constitutions_app import vectors
from training_app.core.stage import LIFELINE

LOOK_EVERY_S = 0.2
CHECK_SERVICES_EVERY_S = 2.0


class Stop(Exception):
    """Ctrl-C, SIGTERM, or the terminal was closed."""


class Command(BaseCommand):
    help = "Runs the whole app in this terminal: services, web server, workers and sweeper. Ctrl-C stops it."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=None, help="the web server's port (default: PORT or 8000)")
        parser.add_argument(
            "--bind", default=text("BIND", "127.0.0.1"), help="the web server's address (default: BIND or 127.0.0.1)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        lock = self._only_one_here()
        self.listeners = [_listen(options["bind"], _port(options["port"]))]
        host, port = self.listeners[0].getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # an address to show, not to bind
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        _note(lock, f"{os.getpid()} {self.address}\n")
        self.supervisor = Supervisor(settings.VAR_DIR / "log", _environment(), self._say)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _stop)
        try:
            self._start()
            self._say(f"Ready after {time.monotonic() - began:.1f} s.")
            self._watch()
        except Stop:
            self._say("Stopping. (Runs that are under way go on at the next start.)")
        except ServiceError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(f"The database does not answer ({reason}): is DATABASE_URL right?") from error
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # stopping takes seconds and must not be cut short
            self.supervisor.stop(asked_too=_is_stage)
            for listener in self.listeners:
                listener.close()
            connections.close_all()
            settings.OWN_SERVICES.release()
            _note(lock, "")
            os.close(lock)
        self._say("Stopped.")

    def _start(self) -> None:
        settings.OWN_SERVICES.ensure()
        self._migrate()
        if settings.COLLECTED_STATIC:
            collect_if_changed(self._say)
        self.supervisor.start(_web("web", self.listeners[0]))
        call_command("load_starter", stdout=self.stdout)
        self._wait_for_pages()
        self._invite()
        self.supervisor.start(_worker("default", "default,infer", 2))
        self.supervisor.start(_worker("gpu", "gpu", 1))
        self.supervisor.start(Child("sweeper", [sys.executable, "manage.py", "sweep"]))
        for number in range(2, settings.WEB_PROCESSES + 1):  # last: one is enough for the first page
            self.listeners.append(beside(self.listeners[0]))
            self.supervisor.start(_web(f"web-{number}", self.listeners[-1]))
        if flag("DEMO", True) and not apps.get_model("training_app", "Run")._default_manager.exists():
            self._say("Launching the demo run; follow it under Runs. (make run DEMO=0 launches none.)")
            self.supervisor.start(Child("demo", [sys.executable, "manage.py", "demo"], once=True))

    def _watch(self) -> None:
        """Until Ctrl-C: starts again what ended, children as well as the app's own services."""
        check_services = time.monotonic() + CHECK_SERVICES_EVERY_S
        while True:
            time.sleep(LOOK_EVERY_S)
            self.supervisor.look()
            if time.monotonic() >= check_services:
                before = settings.OWN_SERVICES.running()
                settings.OWN_SERVICES.ensure(again=True)
                for name in settings.OWN_SERVICES.running().keys() - before.keys():
                    self._say(f"{name} had ended; it runs again.")
                check_services = time.monotonic() + CHECK_SERVICES_EVERY_S

    def _migrate(self) -> None:
        """Brings the tables up to date; looking whether they are takes a tenth of the time of asking `migrate` to."""
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self._say("Preparing the tables of the database.")
            call_command("migrate", interactive=False, verbosity=0)
        self._ask_for_vectors()

    def _ask_for_vectors(self) -> None:
        """The vector type needs special rights: on a database of your own the app works without it, and says so."""
        if reason := vectors.switch_on():
            self._say(f"The database has no vector type ({reason}); likeness of principles is measured by letters.")

    def _wait_for_pages(self) -> None:
        """Waits until the web server answers, so that the address printed next works, or says where to look."""
        deadline = time.monotonic() + 30
        while not _answers(f"{self.address}/healthz"):
            self.supervisor.look()
            if time.monotonic() > deadline:
                self._say(f"The web server does not answer yet; its log is {self.supervisor.logs / 'web.log'}.")
                return
            time.sleep(0.05)

    def _invite(self) -> None:
        """Prints where to go and how to get in. There is no default password: the first admin has none at all."""
        User = get_user_model()
        admin = User._default_manager.filter(is_superuser=True, is_active=True).order_by("pk").first()
        if admin is None:
            admin = User._default_manager.create_superuser("admin", password=None)
        self._say("")
        self._say(f"  Open      {self.address}/")
        self._say(f"  Sign in   {self.address}{one_time_path(admin)}")
        self._say(f"            (works once, within seven days, as {admin.get_username()})")
        self._say("  Stop      Ctrl-C")
        self._say("")

    def _only_one_here(self) -> int:
        path = settings.VAR_DIR / "up.lock"
        lock = try_exclusive(path)
        if lock is None:
            process, _, address = path.read_text(encoding="utf-8").strip().partition(" ")
            where = f" at {address} (process {process})" if address else ""
            raise CommandError(
                f"The app is running from this folder already{where}: use that one, "
                "or stop it with Ctrl-C in its terminal first."
            )
        return lock

    def _say(self, sentence: str) -> None:
        with suppress(OSError):  # the terminal may be gone; what was started must be stopped all the same
            self.stdout.write(sentence)
            self.stdout.flush()


def _stop(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)  # once is enough
    raise Stop


def _port(given: int | None) -> int:
    """The port to serve on. Raises CommandError for a PORT that is not one."""
    value = text("PORT", "8000") if given is None else str(given)
    if not (value.isascii() and value.isdigit() and len(value) < 6) or int(value) > 65535:
        raise CommandError(f"PORT={value} is not a port: use a number from 1 to 65535, for example make run PORT=8001")
    return int(value)


def _listen(host: str, port: int) -> socket.socket:
    """Opens the web server's socket. Raises CommandError, before anything has been started, where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Alone first: where sockets may share a port, another program's would be shared without a word.
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((host, port))
            port = alone.getsockname()[1]
        return listen(family, (host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"Port {port} on {host} is in use by another program, so nothing was started: stop that program, "
                f"or choose another port: make run PORT={port + 1 if port < 65535 else 8000}"
            ) from error
        raise CommandError(
            f"Port {port} on {host} cannot be opened ({error.strerror}): choose another one with PORT="
        ) from error


def _environment() -> dict[str, str]:
    """What the children get. This server speaks plain http: no cookie may ask for https unless the caller says so."""
    own = {name: value for name, value in os.environ.items() if value}
    return {"HTTPS": "0", **own, "PYTHONUNBUFFERED": "1", "SUPERVISOR": str(os.getpid())}


def _web(name: str, listener: socket.socket) -> Child:
    """One of the processes that answer pages, with its socket."""
    command = [sys.executable, "-m", "cai_web.serve", str(listener.fileno())]
    return Child(name, command, keep_open=(listener.fileno(),))


def _worker(name: str, queues: str, processes: int) -> Child:
    # The prefork pool: it alone can be asked, stopped and replaced while it works.
    options = ["--queues", queues, "--concurrency", str(processes), "--pool", "prefork", "--hostname", f"{name}@%h"]
    quick = ["--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel", "INFO"]
    return Child(name, [sys.executable, "-m", "celery", "--app", "cai_web", "worker", *options, *quick])


def _is_stage(process: psutil.Process) -> bool:
    return LIFELINE in process.cmdline()


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=2):  # noqa: S310  # our own http address
            return True
    except (URLError, OSError):
        return False


def _note(lock: int, content: str) -> None:
    """Writes into the lock file who holds it."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, content.encode(), 0)
