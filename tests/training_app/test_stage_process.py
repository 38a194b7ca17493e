"""A stage as a process: no shell, no secrets, its own group, and an end that is certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.base import wait_for
from training_app.core.spread import write_launch_file
from training_app.stage_process import StageProcess, processes_for, stage_command, stage_environment, wait_until_free

JOB = Path("/somewhere/with spaces; and $(signs)/job.json")


def test_one_process_is_plain_python() -> None:
    assert stage_command("sft", JOB) == [sys.executable, "-m", "training_app.core.stage", str(JOB), "--lifeline"]


@pytest.mark.parametrize(
    ("stage", "told", "wanted", "processes"),
    [("sft", "4", None, 4), ("sft", "4", 2, 2), ("sft", "", None, 1), ("sft", "all", None, 1), ("sft", "0", None, 1),
     ("generate", "4", 4, 1)],
)  # fmt: skip
def test_only_training_uses_several_gpus_and_only_when_told(
    tmp_path: Path, stage: str, told: str, wanted: int | None, processes: int
) -> None:
    assert processes_for(stage, {"GPUS_PER_STAGE": told}, wanted=wanted) == processes
    write_launch_file(tmp_path, processes=processes)
    job = tmp_path / JOB.name
    assert ("accelerate.commands.launch" in stage_command(stage, job)) == (processes > 1)


def test_the_processes_of_a_training_in_several_are_asked_and_ended_too(tmp_path: Path) -> None:
    """Torch's launcher gives each process a session of its own, which no signal to the group reaches."""
    asked = "import signal, time; signal.signal(15, lambda *_: print('asked', flush=True)); print('up', flush=True)"
    child = f"{asked}; time.sleep(60)"
    start = f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True).wait()"
    launcher = f"import subprocess, sys; {start}"
    log = tmp_path / "log.txt"
    process = StageProcess([sys.executable, "-c", launcher], folder=tmp_path, log=log)
    wait_for(lambda: "up" in log.read_text(), what="the child")
    (rank,) = psutil.Process(process.pid).children()
    process.ask_to_stop()
    wait_for(lambda: "asked" in log.read_text(), what="the child to be asked")
    assert process.poll() is None
    process.end()
    wait_for(lambda: not rank.is_running() or rank.status() == psutil.STATUS_ZOMBIE, 5, what="the child's end")


def test_secrets_stay_with_the_worker() -> None:
    secrets = {"SECRET_KEY": "s", "DATABASE_URL": "postgres://u:p@h/d", "CELERY_BROKER_URL": "redis://:p@h"}
    environment = stage_environment({**secrets, "CUDA_VISIBLE_DEVICES": "1", "PATH": "/bin"})
    assert not set(secrets) & set(environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert (environment["HF_HUB_OFFLINE"], int(environment["OMP_NUM_THREADS"]) >= 1) == ("1", True)


def test_its_end_takes_everything_with_it_that_it_started(tmp_path: Path) -> None:
    process = StageProcess(["sh", "-c", "sleep 60 & echo $!; wait"], folder=tmp_path, log=tmp_path / "log.txt")
    child = int(wait_for(lambda: (tmp_path / "log.txt").read_text().strip(), what="the child's id"))
    assert process.poll() is None
    process.end()
    assert process.poll() == -signal.SIGKILL
    wait_for(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", 5)
    process.end()


def ended(process: StageProcess) -> bool:
    return process.poll() is not None


def test_exit_codes_and_signals_are_told_apart(tmp_path: Path) -> None:
    for script, expected in (("exit 3", 3), ("kill -11 $$", -11)):
        process = StageProcess(["sh", "-c", script], folder=tmp_path, log=tmp_path / "log.txt")
        wait_for(partial(ended, process), 5)
        assert process.poll() == expected
        process.end()
        assert process.poll() == expected


def test_the_lifeline_breaks_when_the_worker_is_killed(tmp_path: Path) -> None:
    worker = f"""
import os, pathlib, signal, sys
sys.path.insert(0, {str(Path.cwd())!r})
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")
import django; django.setup()
from training_app.core.spread import write_launch_file
from training_app.stage_process import StageProcess
folder = pathlib.Path({str(tmp_path)!r})
StageProcess([sys.executable, "-c", "import os,sys; print(os.getpid(), flush=True); os.read(0, 1)"],
             folder=folder, log=folder / "log.txt")
signal.pause()
"""
    process = subprocess.Popen([sys.executable, "-c", worker])
    child = int(wait_for(lambda: (log := tmp_path / "log.txt").is_file() and log.read_text().strip(), what="the stage"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not psutil.pid_exists(child), 5, what="the stage to notice")


def test_it_waits_until_an_earlier_stage_lets_go_of_the_folder(tmp_path: Path) -> None:
    assert wait_until_free(tmp_path, 0.0)
    holder = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(0.6)
"""
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / ".lock")], stdout=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        assert not wait_until_free(tmp_path, 0.2)
        began = time.monotonic()
        assert wait_until_free(tmp_path, 5.0)
        assert time.monotonic() - began < 5.0
