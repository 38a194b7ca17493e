from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import SHORT, last_event, prompts, records, responses, write_asking_job
from tests.warm import warm_stage
from training_app.core import stage
from training_app.core.errors import NotFinite, OutOfMemory, Stopped
from training_app.core.events import EventLog, read_events
from training_app.core.job import Job
from training_app.core.stage import BAD_INPUT, FAILED, FINISHED, STOPPED, exclusive, run_job

ROOT = Path(__file__).resolve().parents[3]
SLOW = {"rounds": 2, "sampling": {"max_new_tokens": 60, "batch_size": 2}}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return write_asking_job(tmp_path, "generate", tmp_path / "model", {"prompts": prompts(2)})


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[EventLog], None]], None]:
    """Replaces what every stage does."""

    def replace(act: Callable[[EventLog], None]) -> None:
        def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
            events.started(device="CPU", dtype="float32", total=2, unit="prompts")
            act(events)

        monkeypatch.setattr(stage, "stage_function", lambda name: run)

    return replace


def start(file: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The stage as its own process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "training_app.core.stage", str(file), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def wait_for_records(out: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    log = out / "events.jsonl"
    while not log.exists() or log.read_text().count('"kind":"record"') < count:
        assert time.monotonic() < deadline, "no records in time"
        time.sleep(0.02)


def test_every_stage_of_the_table_can_be_imported() -> None:
    for name in stage.STAGES:
        assert callable(stage.stage_function(name))


def test_an_unknown_stage_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_asking_job(tmp_path, "distil", tmp_path, {})
    assert run_job(file, lambda: False) == BAD_INPUT
    assert capsys.readouterr().err.startswith("There is no stage 'distil'; stages are generate, revise,")
    assert last_event(tmp_path)["error"] == "bad_input"


def test_a_bad_job_file_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.json").write_text("{}")
    assert run_job(tmp_path / "job.json", lambda: False) == BAD_INPUT
    assert capsys.readouterr().err == "job.json: schema is missing.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_finished_stage_is_not_done_again(job: Path, behave: Any, capsys: pytest.CaptureFixture[str]) -> None:
    behave(lambda events: events.finished())
    assert run_job(job, lambda: False) == FINISHED
    before = (job.parent / "events.jsonl").read_bytes()
    behave(lambda events: pytest.fail("it was done again"))
    assert run_job(job, lambda: False) == FINISHED
    assert (job.parent / "events.jsonl").read_bytes() == before


def test_a_stopped_stage_says_how_far_it_came(job: Path, behave: Any) -> None:
    def act(events: EventLog) -> None:
        events.progress(1)
        raise Stopped

    behave(act)
    assert run_job(job, lambda: True) == STOPPED
    assert last_event(job.parent)["kind"] == "stopped"
    assert (last_event(job.parent)["done"], last_event(job.parent)["total"]) == (1, 2)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (NotFinite("loss became nan at step 3.", "Lower it."), "not_finite", "loss became nan"),
        (OutOfMemory("Too big.", "Smaller."), "out_of_memory", "Too big."),
        (MemoryError(), "out_of_memory", "The stage generate ran out of memory."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out_of_memory", "ran out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "out_of_memory", "ran out of memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full", "The disk that holds"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full", "The disk that holds"),
        (KeyError("oops"), "bug", "KeyError: 'oops'"),
    ],
)
def test_every_failure_is_an_event_with_advice(
    job: Path, behave: Any, capsys: pytest.CaptureFixture[str], error: Exception, kind: str, words: str
) -> None:
    def act(events: EventLog) -> None:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("the library wraps it") from cause

    behave(act if kind != "bug" else lambda events: (_ for _ in ()).throw(error))
    assert run_job(job, lambda: False) == FAILED
    event = last_event(job.parent)
    assert (event["kind"], event["error"]) == ("failed", kind)
    assert words in event["message"]
    assert event["advice"]
    printed = capsys.readouterr()
    assert ("Traceback" in printed.out) is (kind == "bug")
    assert len(printed.err.strip().splitlines()) == 1


def test_a_failed_stage_can_be_started_again(job: Path, behave: Any) -> None:
    behave(lambda events: (_ for _ in ()).throw(MemoryError()))
    assert run_job(job, lambda: False) == FAILED
    behave(lambda events: events.finished())
    assert run_job(job, lambda: False) == FINISHED
    assert [event["seq"] for event in read_events(job.parent / "events.jsonl")] == [1, 2, 3, 4]


def test_two_processes_never_work_in_one_folder(job: Path, behave: Any, capsys: pytest.CaptureFixture[str]) -> None:
    behave(lambda events: events.finished())
    with exclusive(job.parent):
        assert run_job(job, lambda: False) == BAD_INPUT
    assert capsys.readouterr().err.startswith("Another process is already working in")
    assert run_job(job, lambda: False) == FINISHED


def test_another_job_is_refused_in_a_used_folder(job: Path, behave: Any, capsys: pytest.CaptureFixture[str]) -> None:
    behave(lambda events: (_ for _ in ()).throw(Stopped()))
    assert run_job(job, lambda: False) == STOPPED
    changed = json.loads(job.read_text()) | {"seed": 99}
    job.write_text(json.dumps(changed))
    assert run_job(job, lambda: False) == BAD_INPUT
    assert "belongs to another job. Give every job an out folder of its own." in capsys.readouterr().err


# -- as a process ------------------------------------------------------------------------------------------------------


def test_the_program_exits_2_with_one_sentence(tmp_path: Path) -> None:
    process = start(tmp_path / "none.json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == BAD_INPUT
    assert err.count("\n") == 1
    assert err.startswith("There is no job file")
    assert out == ""


@pytest.mark.xdist_group("warm")
def test_sigterm_finishes_the_batch_and_exits_3(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    file = write_asking_job(tmp_path / "out", "revise", model, {"responses": responses(40)}, SLOW)
    process = warm_stage(file)
    wait_for_records(tmp_path / "out", 1)
    process.terminate()
    said = tmp_path / "out" / "log.txt"
    assert process.wait(timeout=60) == STOPPED, said.read_text()
    assert "stopped at" in said.read_text()
    assert last_event(tmp_path / "out")["kind"] == "stopped"
    assert len(records(tmp_path / "out", "step")) == last_event(tmp_path / "out")["done"] < 80


@pytest.mark.xdist_group("warm")
def test_it_stops_when_its_parent_dies(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    file = write_asking_job(tmp_path / "out", "revise", model, {"responses": responses(40)}, SLOW)
    process = warm_stage(file, "--lifeline", lifeline=True)
    wait_for_records(tmp_path / "out", 1)
    assert process.lifeline is not None
    process.lifeline.close()
    assert process.wait(timeout=60) == STOPPED
    assert last_event(tmp_path / "out")["kind"] == "stopped"


@pytest.mark.xdist_group("warm")
def test_a_killed_job_goes_on_and_nothing_is_missing_or_doubled(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    whole = write_asking_job(tmp_path / "whole", "revise", model, {"responses": responses(9)}, {"rounds": 2, **SHORT})
    killed = write_asking_job(tmp_path / "killed", "revise", model, {"responses": responses(9)}, {"rounds": 2, **SHORT})
    assert run_job(whole, lambda: False) == FINISHED
    for count in (3, 11):
        process = warm_stage(killed)
        wait_for_records(tmp_path / "killed", count)
        process.kill()
        process.wait()
    with (tmp_path / "killed" / "events.jsonl").open("ab") as log:
        log.write(b'{"seq":999,"kind":"reco')  # the worst moment to be killed
    assert run_job(killed, lambda: False) == FINISHED
    assert records(tmp_path / "killed", "step") == records(tmp_path / "whole", "step")
    assert len(records(tmp_path / "whole", "step")) == 18
    events = read_events(tmp_path / "killed" / "events.jsonl")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["outputs"] == last_event(tmp_path / "whole")["outputs"]
