"""The whole app, started as a person starts it, in a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from tests.base import wait_for
from tests.prepared import copy_servers_data


@dataclass
class RunningApp:
    """`manage.py up`, its output in a file."""

    process: subprocess.Popen[bytes]
    output: Path
    var: Path
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def sign_in_link(self) -> str:
        """The one-time link that it printed."""
        found = re.search(r"Sign in\s+(\S+)", self.said())
        assert found, self.said()
        return found.group(1)

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 30.0) -> int:
        """Stops it as Ctrl-C does and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=seconds)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app(folder: Path, *, wait: bool = True, prepared: bool = False, **environment: str) -> RunningApp:
    """Starts the app with `folder/var` as its var. With `wait`, returns when it says that it is ready.

    With `prepared` it finds a database whose tables are made, else whatever there is in the folder, or nothing.
    """
    if prepared:
        copy_servers_data(folder / "var")
    var, output, port = folder / "var", folder / "output.txt", int(environment.pop("PORT", "0")) or free_port()
    dropped = {"ARTIFACT_ROOT", "COLLECTED_STATIC", "HTTPS", "PYTHONDEVMODE"}
    base = {name: value for name, value in os.environ.items() if name not in dropped}
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=settings.BASE_DIR,
            env={
                **base,
                "DJANGO_SETTINGS_MODULE": "cai_web.settings",
                "VAR_DIR": str(var),
                "PORT": str(port),
                "DEMO": "0",
                "WEB_PROCESSES": "1",
                "PYTHONUNBUFFERED": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    app = RunningApp(process, output, var, port)
    if wait:
        try:
            wait_for(lambda: "Ready after" in app.said() or process.poll() is not None, 90, what="the app to be ready")
            assert process.poll() is None, app.said()
        except BaseException:
            app.stop(signal.SIGTERM)
            raise
    return app
