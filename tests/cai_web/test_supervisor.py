"""The supervisor, with small children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cai_web.supervisor import FIRST_PAUSE_S, Child, Supervisor
from tests.base import wait_for

SLEEPER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
PARENT = textwrap.dedent(
    """
    import subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(child.pid, flush=True)
    time.sleep(600)
    """
)

PATIENT = textwrap.dedent(
    """
    import signal, subprocess, sys
    signal.signal(signal.SIGTERM, lambda *_: None)
    stage = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(stage.pid, flush=True)
    stage.wait()
    """
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path, dict(os.environ), said.append)
    yield supervisor
    supervisor.stop()


def looking(supervisor: Supervisor, question: Callable[[], bool]) -> Callable[[], bool]:
    """The question, asked after the supervisor has looked."""

    def ask() -> bool:
        supervisor.look()
        return question()

    return ask


def pid_of(child: Child) -> int:
    assert child.process is not None
    return child.process.pid


def test_a_child_runs_in_a_session_of_its_own_with_its_output_in_a_file(supervisor: Supervisor) -> None:
    child = Child("sleeper", SLEEPER)
    supervisor.start(child)
    wait_for(lambda: "here" in supervisor.log_of(child).read_text(), what="the child")
    assert os.getsid(pid_of(child)) == pid_of(child)


def test_a_child_that_dies_is_named_and_started_again_after_a_pause(supervisor: Supervisor, said: list[str]) -> None:
    child = Child("sleeper", SLEEPER, pause=0.1)
    supervisor.start(child)
    first = pid_of(child)
    os.kill(first, signal.SIGKILL)
    wait_for(looking(supervisor, lambda: child.process is None), what="the death to be noticed")
    assert "The sleeper process ended (killed by SIGKILL); it starts again at once." in said[0]
    wait_for(looking(supervisor, lambda: child.process is not None), what="the next start")
    assert pid_of(child) != first
    assert child.pause == pytest.approx(0.2)


def test_the_pause_grows_to_half_a_minute_and_a_steady_child_starts_over(supervisor: Supervisor) -> None:
    child = Child("failing", [sys.executable, "-c", "raise SystemExit(3)"], pause=20.0)
    supervisor.start(child)
    wait_for(looking(supervisor, lambda: child.process is None), what="the death to be noticed")
    assert child.pause == 30.0
    child.due = 0
    supervisor.look()
    child.started = time.monotonic() - 3600
    wait_for(looking(supervisor, lambda: child.process is None), what="the death to be noticed")
    assert child.pause == 2 * FIRST_PAUSE_S


def test_a_child_that_is_meant_to_end_is_not_started_again(supervisor: Supervisor, said: list[str]) -> None:
    good = Child("good", [sys.executable, "-c", "pass"], once=True)
    bad = Child("bad", [sys.executable, "-c", "raise SystemExit('the reason')"], once=True)
    for child in (good, bad):
        supervisor.start(child)
    wait_for(looking(supervisor, lambda: good.finished and bad.finished), what="both to end")
    supervisor.look()
    assert good.process is None and bad.process is None
    assert said == ["bad failed (exit code 1): the reason"]


def test_stopping_ends_children_and_what_they_started(supervisor: Supervisor) -> None:
    child = Child("parent", [sys.executable, "-c", PARENT])
    supervisor.start(child)
    grandchild = int(wait_for(lambda: supervisor.log_of(child).read_text().strip(), what="the grandchild"))
    parent = pid_of(child)
    supervisor.stop()
    assert not psutil.pid_exists(parent)
    wait_for(lambda: gone(grandchild), what="the grandchild to end")


def test_a_child_that_will_not_end_is_killed(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cai_web.supervisor.POLITE_S", 0.3)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    child = Child("deaf", [sys.executable, "-c", code])
    supervisor.start(child)
    wait_for(lambda: "deaf" in supervisor.log_of(child).read_text(), what="the child")
    pid = pid_of(child)
    supervisor.stop()
    assert gone(pid)


def test_stages_are_asked_to_end_together_with_the_children(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cai_web.supervisor.POLITE_S", 20.0)
    child = Child("patient", [sys.executable, "-c", PATIENT])
    supervisor.start(child)
    stage = int(wait_for(lambda: supervisor.log_of(child).read_text().strip(), what="the grandchild"))
    began = time.monotonic()
    supervisor.stop(asked_too=lambda process: process.pid == stage)
    assert time.monotonic() - began < 15, "the parent waits for its stage, which must have been asked too"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's help exists on Linux only")
def test_children_end_when_their_supervisor_is_killed_outright(tmp_path: Path) -> None:
    code = textwrap.dedent(
        f"""
        import os, sys, time
        from pathlib import Path
        from cai_web.supervisor import Child, Supervisor
        supervisor = Supervisor(Path({str(tmp_path)!r}), dict(os.environ), print)
        child = Child("sleeper", {SLEEPER!r})
        supervisor.start(child)
        print(child.process.pid, flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    wait_for(lambda: gone(pid), what="the child to end")


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
