"""Stages forked from a process that waits: like programs of their own in all that is told of them.

The model of these jobs is a script, so nothing heavy is imported. That real stages are forked as well, and next to no
thread, tests/e2e/test_whole_line.py tells.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from django.conf import LazySettings

from cai_web.services.processes import gone
from tests.base import wait_for
from tests.training_app.core.asking_jobs import last_event, prompts, write_asking_job, write_script
from training_app import placement, stage_process, warm_stages
from training_app.core.stage import BAD_INPUT, FINISHED, STOPPED
from training_app.stage_process import StageProcess, stage_environment
from training_app.warm_stages import ForkedStage, can_be_forked, fork_stage, is_safe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="stages are forked on Linux only")

ENVIRONMENT = stage_environment({**os.environ, "PYTEST_CURRENT_TEST": ""})


@pytest.fixture(scope="module", autouse=True)
def one_process() -> Iterator[None]:
    yield
    warm_stages.end()


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A stage that ends by itself."""
    return job_of(tmp_path, 2)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A stage that goes on for longer than any test looks at it."""
    return job_of(tmp_path, 20_000)


def job_of(folder: Path, count: int) -> Path:
    """So many prompts, answered one by one."""
    folder.mkdir(exist_ok=True)
    script = write_script(folder / "script", ["Yes."] * count)
    sampling = {"sampling": {"batch_size": 1}}
    return write_asking_job(folder, "generate", script, {"prompts": prompts(count)}, sampling, backend="scripted")


def forked(job: Path, environment: dict[str, str] = ENVIRONMENT) -> ForkedStage:
    with (job.parent / "log.txt").open("ab") as log:
        stage = fork_stage(job, folder=job.parent, output=log.fileno(), environment=environment)
    assert stage is not None
    return stage


def begun(job: Path) -> None:
    """Waits until the stage is at its work."""
    log = job.parent / "events.jsonl"
    wait_for(lambda: log.is_file() and '"record"' in log.read_text(), what="the stage's first record")


def waiting_process() -> psutil.Process:
    assert warm_stages._warm is not None
    return psutil.Process(warm_stages._warm.process.pid)


def test_a_forked_stage_is_a_child_in_a_session_folder_and_log_of_its_own(long: Path) -> None:
    stage = forked(long)
    begun(long)
    process, warm = psutil.Process(stage.pid), waiting_process()
    assert process.ppid() == os.getpid()
    assert os.getsid(stage.pid) == os.getpgid(stage.pid) == stage.pid
    assert "--lifeline" in process.cmdline()
    assert process.cwd() == str(long.parent)
    assert {Path(file.path).name for file in process.open_files()} >= {"log.txt"}
    assert warm.num_threads() == 1
    assert os.getpgid(warm.pid) == os.getpgid(0)
    stage.stdin.close()
    assert stage.wait() == stage.wait() == STOPPED


def test_it_ends_with_the_exit_code_of_the_program(short: Path, tmp_path: Path) -> None:
    stage = forked(short)
    assert stage.wait() == FINISHED
    assert last_event(short.parent)["kind"] == "finished"
    assert "generate finished" in (short.parent / "log.txt").read_text()
    stage.stdin.close()
    wrong = write_asking_job(tmp_path / "b", "generate", tmp_path / "none", {"prompts": prompts(1)}, backend="scripted")
    stage = forked(wrong)
    assert stage.wait() == BAD_INPUT
    assert last_event(wrong.parent)["error"] == "bad_input"
    stage.stdin.close()


def test_it_stops_when_it_is_asked_to(long: Path) -> None:
    stage = forked(long)
    begun(long)
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.wait() == STOPPED
    assert last_event(long.parent)["kind"] == "stopped"
    stage.stdin.close()


def test_a_process_that_was_asked_to_stop_passes_that_on_to_later_stages(long: Path, tmp_path: Path) -> None:
    """A worker that ends asks the programs that it finds; one that was about to begin would else be waited for."""
    stage = forked(long)
    begun(long)
    waiting_process().terminate()
    late = forked(job_of(tmp_path / "late", 2))
    assert late.wait() == STOPPED
    assert stage.returncode is None and psutil.Process(stage.pid).status() != psutil.STATUS_ZOMBIE
    stage.stdin.close()
    late.stdin.close()
    assert stage.wait() == STOPPED
    warm_stages.end()


def test_a_killed_stage_is_told_at_once_and_its_id_is_kept_until_it_was_waited_for(
    long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_stages, "can_be_forked", lambda *_: True)
    monkeypatch.setattr(stage_process, "stage_environment", lambda _: ENVIRONMENT)
    log = long.parent / "log.txt"
    process = StageProcess(stage_process.stage_command("generate", long), folder=long.parent, log=log)
    assert psutil.Process(process.pid).cmdline()[2] == "training_app.core.warm"
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: process.poll() is not None, 5, what="its end")
    assert process.poll() == -signal.SIGKILL
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    process.end()
    process.end()
    assert process.poll() == -signal.SIGKILL
    assert not psutil.pid_exists(process.pid)


def test_what_cannot_be_forked_starts_from_nothing_and_the_next_stage_is_forked_again(
    long: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (tmp_path / "log.txt").open("ab") as log:
        none = tmp_path / "none.json"
        assert fork_stage(none, folder=tmp_path, output=log.fileno(), environment=ENVIRONMENT) is None
    assert "There is no job file" in caplog.text
    stage = forked(long)
    begun(long)
    earlier = waiting_process()
    earlier.kill()
    wait_for(lambda: earlier.status() == psutil.STATUS_ZOMBIE, 5)
    again = forked(job_of(tmp_path / "again", 2))
    assert again.wait() == FINISHED
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.wait() == STOPPED, "what was forked does not need it any more"
    stage.stdin.close()
    again.stdin.close()


def test_another_environment_is_another_process() -> None:
    """Much of it is read when a library is imported, so it cannot be changed behind that."""
    with closing(warm_stages.WarmProcess(ENVIRONMENT)) as warm:
        assert warm.serves(ENVIRONMENT)
        assert not warm.serves({**ENVIRONMENT, "OMP_NUM_THREADS": "3"})
        # A process that is about to run its program has none for a moment.
        environment = wait_for(psutil.Process(warm.process.pid).environ, what="the process's environment")
        assert environment["HF_HUB_OFFLINE"] == "1"
        assert "SECRET_KEY" not in environment
    assert not warm.serves(ENVIRONMENT)


def test_nothing_is_left_when_the_worker_is_killed(long: Path) -> None:
    worker = f"""
import os, pathlib, signal
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")
import django; django.setup()
from training_app import warm_stages
from training_app.stage_process import stage_environment
job = pathlib.Path({str(long)!r})
with (job.parent / "log.txt").open("ab") as log:
    environment = stage_environment(os.environ)
    stage = warm_stages.fork_stage(job, folder=job.parent, output=log.fileno(), environment=environment)
print(stage.pid, warm_stages._warm.process.pid, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", worker], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        left = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        assert len(left) == 2
        begun(long)
        process.kill()
    wait_for(lambda: all(gone(one.pid) for one in left), 10, what="both to end")
    assert last_event(long.parent)["kind"] == "stopped"


def test_only_single_stages_with_a_model_are_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_stages, "is_safe", lambda environment: True)

    def asked(backend: str) -> list[str]:
        job = write_asking_job(tmp_path / backend, "generate", tmp_path, {}, backend=backend)
        return stage_process.stage_command("generate", job)

    assert can_be_forked(asked("local"), {})
    assert not can_be_forked(asked("scripted"), {})
    assert not can_be_forked(asked("local")[:-1], {})
    assert not can_be_forked(stage_process.stage_command("generate", tmp_path / "none.json"), {})
    assert not can_be_forked([sys.executable, "-m", "tests.training_app.scripted", "job.json", "--lifeline"], {})
    launcher = [sys.executable, "-m", stage_process.LAUNCHER, "--config_file", "f", *asked("local")[1:]]
    assert not can_be_forked(launcher, {})


def test_nothing_is_forked_where_a_stage_would_see_a_gpu_or_nobody_wants_it(
    tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "kfd"
    monkeypatch.setattr(placement, "_gpus_here", lambda _: ("0", "1"))
    assert is_safe({"CUDA_VISIBLE_DEVICES": ""}, other_gpus=[other])
    assert not is_safe({}, other_gpus=[other])
    assert not is_safe({"CUDA_VISIBLE_DEVICES": "1"}, other_gpus=[other])
    other.touch()
    assert not is_safe({"CUDA_VISIBLE_DEVICES": ""}, other_gpus=[other])
    other.unlink()
    settings.WARM_STAGES = False
    assert not is_safe({"CUDA_VISIBLE_DEVICES": ""}, other_gpus=[other])
