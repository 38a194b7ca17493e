"""Every way a stage can fail, provoked for real where that can be done: told at once, exactly, with what to do."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import LazySettings

from tests.base import wait_for
from tests.training_app.scenes import QUICK, engineer, launched
from tests.training_app.test_runner import running, stage_programs
from training_app import leases, placement, runner
from training_app.actions import resume_run
from training_app.endings import ending_of
from training_app.management.commands import sweep
from training_app.models import DatasetBuild, Run, RunStage
from training_app.runner import run_once
from training_app.stage_process import out_of_memory_kills
from training_app.sweeper import Sweeper

pytestmark = pytest.mark.django_db(transaction=True)
ONCE = replace(QUICK, kill_retries=0)


def failed(run: Run) -> Run:
    """The run brought to its end, which is to be a failure with advice and a log."""
    assert run_once(run.pk, conduct=ONCE) == "failed"
    found = Run.objects.get(pk=run.pk)
    stage = RunStage.objects.get(run=run, state="failed")
    assert (stage.reason, stage.advice, stage.exit_code) == (found.reason, found.advice, found.exit_code)
    assert found.advice and found.finished_at is not None
    return found


def test_out_of_memory_is_told_by_the_stage_itself() -> None:
    run = failed(launched(script={"generate": {"allocate": 2**34}}))
    assert run.reason == "The stage generate failed: The stage generate ran out of memory."
    assert "smaller batch" in run.advice and run.exit_code == 1


def test_a_kill_for_lack_of_memory_is_told_apart_from_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kernel's own counters say it; a test does not use up the machine's memory, so the counter is a file."""
    counter = tmp_path / "memory.events"
    counter.write_text("low 0\noom 3\noom_kill 2\n")
    (tmp_path / "vmstat").write_text("oom_kill 40\nnr_free 1\n")
    assert out_of_memory_kills(files=(counter, tmp_path / "vmstat", tmp_path / "none")) == 42
    counts = iter(range(100))
    monkeypatch.setattr(runner, "out_of_memory_kills", lambda: next(counts))
    run = failed(launched(script={"generate": {"kill_after": 1, "kills": 9}}))
    assert run.reason == "The stage generate was killed by the system, which had run out of memory (signal 9)."
    assert (run.exit_code, "smaller batch" in run.advice) == (-9, True)
    assert "had run out" not in ending_of("rl", -signal.SIGSEGV, None, "", asked=False, memory_ran_out=True).sentence


@pytest.mark.parametrize(
    ("gpus", "config", "sentence"),
    [
        (2, {"processes": 4}, "on 4 GPUs together, but this worker has 2"),
        (4, {"processes": 4, "sharding": "deepspeed"}, "through DeepSpeed, which this worker does not have"),
    ],
)
def test_what_this_worker_cannot_do_is_told_before_training(
    monkeypatch: pytest.MonkeyPatch, gpus: int, config: dict[str, Any], sentence: str
) -> None:
    monkeypatch.setattr(placement, "gpus_of", lambda environment: gpus)
    run = launched(overrides=config)
    assert run_once(run.pk, conduct=ONCE) == "failed"
    run = Run.objects.get(pk=run.pk)
    assert sentence in run.reason and run.advice
    assert RunStage.objects.get(run=run, state="failed").slug == "sft"  # what needs one process was done


def test_a_killed_stage_says_by_what() -> None:
    run = launched(script={"generate": {"wait_at": 1}})
    with running(run, ONCE) as result:
        (program,) = wait_for(stage_programs, what="the stage")
        wait_for(lambda: RunStage.objects.get(run=run, slug="generate").done, what="a record")
        killed_at = time.monotonic()
        program.send_signal(signal.SIGKILL)
        assert result() == "failed"
        assert time.monotonic() - killed_at < 10
    assert Run.objects.get(pk=run.pk).reason == "The stage generate was killed by signal 9 (SIGKILL)."


def test_a_loss_that_is_no_number_is_told_with_its_step() -> None:
    """What a real trainer makes of a real NaN is tried in core/test_training.py; here it reaches the run's page."""
    run = failed(launched(script={"sft": {"nan_at": 2}}))
    assert run.reason == "The stage sft failed: loss became nan at step 2."
    assert "learning rate" in run.advice


@pytest.fixture
def small_disk(tmp_path: Path, settings: LazySettings) -> Iterator[Path]:
    """A real file system with room for little. Skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("This system lets nobody mount a small file system (it takes root).")
    settings.ARTIFACT_ROOT = folder
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_a_resume_goes_on_when_there_is_room(small_disk: Path) -> None:
    run = launched(script={"revise": {"pause": 0.0}})
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(b"x" * (free - 90_000))  # room for the reserve of the event log and a little more
    run = failed(run)
    assert "is full" in run.reason and "Make room" in run.advice
    ballast.unlink()
    run = resume_run(user=engineer(), run=run)
    assert run_once(run.pk, conduct=QUICK) == "succeeded", Run.objects.get(pk=run.pk).reason


def test_a_changed_dataset_is_told_with_its_file() -> None:
    run = launched(script={"reward": {"fail": "bad_input"}})
    assert run_once(run.pk, conduct=QUICK) == "failed"
    build = DatasetBuild.objects.filter(run=run, stage="reward")[0]
    file = run.folder / "builds" / Path(build.path).name
    file.write_bytes(file.read_bytes().replace(b"No.", b"Yes", 1))
    (run.folder / "script.json").write_text("{}")
    run = failed(resume_run(user=engineer(), run=run))
    assert "is not the one the job was made for (its digest differs)" in run.reason
    assert run.exit_code == 2


def test_nothing_stays_running_for_longer_than_a_minute_after_its_process_died() -> None:
    """A worker elsewhere is given up when its lease ends; that one of this machine is gone the sweeper sees at once."""
    assert leases.DURATION.total_seconds() + 2 * sweep.EVERY_S < 60
    run = launched(script={"generate": {"wait_at": 1}})
    with subprocess.Popen(["sleep", "60"]) as worker:
        mine = psutil.Process()
        here = f"{mine.pid}:{int(mine.create_time())}"
        there = f"{worker.pid}:{int(psutil.Process(worker.pid).create_time())}"
        assert leases.claim(run.pk, leases.new_owner().replace(here, there))
        assert Sweeper(lambda run_id: True).sweep().requeued == 0
        worker.kill()
    assert Run.objects.get(pk=run.pk).state == "running"
    assert Sweeper(lambda run_id: True).sweep().requeued == 1
    found = Run.objects.get(pk=run.pk)
    assert (found.state, "went away" in found.reason) == ("queued", True)
