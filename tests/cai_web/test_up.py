"""`make run`, as a person meets it: the whole app is started and stopped for real."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest

from cai_web.services import OwnServices
from tests.base import wait_for
from tests.running_app import RunningApp, start_app

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("app")]


def get(address: str) -> tuple[int, str]:
    with urllib.request.urlopen(address, timeout=10) as response:
        return response.status, response.read().decode()


def family(app: RunningApp) -> list[psutil.Process]:
    """The app's processes and its servers."""
    servers = [psutil.Process(pid) for pid in OwnServices(app.var).running().values()]
    return [*psutil.Process(app.process.pid).children(recursive=True), *servers]


def command_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing once it has ended."""
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def test_it_starts_answers_lets_the_owner_in_and_stops_everything(tmp_path: Path) -> None:
    app = start_app(tmp_path, WEB_PROCESSES="2")
    try:
        assert get(f"{app.address}/healthz")[0] == 200
        assert "Preparing the tables" in app.said()
        check_sign_in(app)
        check_second_start_is_refused(app, tmp_path)
        check_child_is_restarted(app)
        processes = family(app)
        names = " ".join(" ".join(command_of(process)) for process in processes)
        for part in (
            "cai_web.serve",
            "--queues default",
            "--queues gpu",
            "manage.py sweep",
            "postgres",
            "redis-server",
        ):
            assert part in names
        assert app.stop(signal.SIGINT) == 0
        assert [process for process in processes if not gone(process)] == []
        assert app.said().rstrip().endswith("Stopped.")
    finally:
        app.stop(signal.SIGTERM)


def test_after_kill_9_no_child_is_left_and_the_next_start_takes_over(tmp_path: Path) -> None:
    app = start_app(tmp_path, prepared=True)
    children = psutil.Process(app.process.pid).children(recursive=True)
    app.stop(signal.SIGKILL)
    wait_for(lambda: all(gone(process) for process in children), 30, what="every child to end")
    again = start_app(tmp_path)
    processes = family(again)
    assert get(f"{again.address}/healthz")[0] == 200
    assert "Preparing the tables" not in again.said()
    assert "Collecting" not in again.said()
    assert again.stop() == 0
    wait_for(lambda: all(gone(process) for process in processes), 10, what="everything to end, the servers too")


def test_a_port_in_use_is_said_in_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = start_app(tmp_path, wait=False, PORT=str(port))
        assert app.process.wait(timeout=60) == 1
    assert app.said().strip() == (
        f"CommandError: Port {port} on 127.0.0.1 is in use by another program, so nothing was started: "
        f"stop that program, or choose another port: make run PORT={port + 1}"
    )
    assert not (app.var / "postgres").exists()


@pytest.mark.parametrize("port", ["eighty", "70000", "²"])
def test_a_port_that_is_none_is_refused(port: str, tmp_path: Path) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "cai_web.settings", "VAR_DIR": str(tmp_path), "PORT": port}
    result = subprocess.run(
        ["make", "--no-print-directory", "-s", "-o", "setup", "run"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert f"PORT={port} is not a port" in result.stderr


def check_sign_in(app: RunningApp) -> None:
    """The printed link leads to a button; pressing it signs in, over plain http, with cookies that work there."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    page = browser.open(app.sign_in_link(), timeout=10).read().decode()
    fields = dict(re.findall(r'name="(csrfmiddlewaretoken|sesame)" value="([^"]+)"', page))
    data = urllib.parse.urlencode({**fields, "next": "/api/docs/"}).encode()
    browser.open(urllib.request.Request(f"{app.address}/sign-in/link/", data, {"Referer": app.address}), timeout=10)
    assert browser.open(f"{app.address}/api/docs/", timeout=10).status == 200
    style = re.search(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', page)
    assert style, "static files must be collected and named by their content"
    assert browser.open(app.address + style.group(1), timeout=10).headers["Cache-Control"].endswith("immutable")


def check_second_start_is_refused(app: RunningApp, folder: Path) -> None:
    (folder / "second").mkdir()
    second = start_app(folder / "second", wait=False, VAR_DIR=str(app.var))
    assert second.process.wait(timeout=60) == 1
    assert f"running from this folder already at {app.address}" in second.said()


def check_child_is_restarted(app: RunningApp) -> None:
    servers = [process for process in family(app) if "cai_web.serve" in command_of(process)]
    assert len(servers) == 2
    for server in servers:
        server.kill()
    said = ["The web process ended (killed by SIGKILL)", "The web-2 process ended (killed by SIGKILL)"]
    wait_for(lambda: all(sentence in app.said() for sentence in said), what="both deaths to be said")
    assert get(f"{app.address}/healthz")[0] == 200  # the socket stayed open: we waited instead of being refused


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
