"""The runner with scripted stages: a whole run, and every way a stage or the runner itself can end."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import OperationalError, connection

from constitutions_app.ledger import verify as verify_ledger
from constitutions_app.models import LedgerEntry
from tests.base import wait_for
from tests.training_app import scripted
from tests.training_app.factories import HELPFUL, RED_TEAM
from tests.training_app.scenes import QUICK, engineer, launched
from training_app import jobs, lineage, runner
from training_app.actions import cancel_run, resume_run
from training_app.core.events import read_events
from training_app.models import (
    AILabel,
    Checkpoint,
    Comparison,
    DatasetBuild,
    Evaluation,
    EvaluationAnswer,
    Judge,
    MetricPoint,
    Run,
    RunEvent,
    RunStage,
    Trace,
    TraceStep,
)
from training_app.runner import run_once

pytestmark = pytest.mark.django_db(transaction=True)


def fresh(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


def stage_of(run: Run, slug: str) -> RunStage:
    return RunStage.objects.select_related("run").get(run=run, slug=slug)


def stage_programs() -> list[psutil.Process]:
    """The scripted stages that this test process has started and that still live."""
    children = psutil.Process().children(recursive=True)
    return [one for one in children if one.is_running() and "tests.training_app.scripted" in " ".join(one.cmdline())]


@contextmanager
def running(run: Run, conduct: Any = QUICK) -> Iterator[Callable[[], Any]]:
    """`run_once` in a thread; gives a function that waits for what it returned."""
    answer: list[Any] = []

    def work() -> None:
        try:
            answer.append(run_once(run.pk, conduct=conduct))
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()

    def result() -> Any:
        thread.join(30)
        assert not thread.is_alive(), "the runner did not come back"
        return answer[0]

    try:
        yield result
    finally:
        thread.join(30)


def test_it_brings_a_run_through_all_stages_and_a_second_message_does_nothing() -> None:
    run = launched()
    assert run_once(run.pk, conduct=QUICK) == "succeeded", fresh(run).reason
    run = fresh(run)
    assert (run.state, run.device, run.attempt, run.lease_owner) == ("succeeded", "scripted", 1, "")
    assert {stage.state for stage in run.stages.all()} == {"succeeded"}

    traces = Trace.objects.filter(run=run)
    red_team = {prompt.text for trace in traces if (prompt := trace.prompt).prompt_set.kind == "red_team"}
    answered = set(EvaluationAnswer.objects.filter(run=run).values_list("prompt__text", flat=True))
    assert red_team | answered >= set(RED_TEAM)
    assert all(answer.features == {"short": True} for answer in EvaluationAnswer.objects.filter(run=run))
    assert not {trace.prompt.text for trace in traces} & answered  # what is evaluated on was not trained on
    assert len(red_team) + len(set(HELPFUL) & {trace.prompt.text for trace in traces}) == traces.count()
    assert all("\x00" not in trace.initial_response for trace in traces)
    assert TraceStep.objects.count() == 2 * len(red_team)
    assert Comparison.objects.filter(run=run).count() == len(red_team)
    assert AILabel.objects.count() == len(red_team) - 1  # one pair was identical
    assert set(AILabel.objects.values_list("principle__version", flat=True)) == {run.version_id}
    judge = Judge.objects.get()
    assert (judge.model_digest, judge.template, judge.dtype) == (run.base_model["digest"], "paper", "float32")

    sft, reward, rl = Checkpoint.objects.filter(run=run).order_by("pk")
    assert (rl.parent, rl.reward_model, reward.parent, sft.parent) == (sft, reward, sft, None)
    assert {one.constitution_digest for one in (sft, reward, rl)} == {run.version.digest}
    evaluated = {one.model: one.checkpoint for one in Evaluation.objects.filter(run=run)}
    assert evaluated == {"base": None, "sl_cai": sft, "rl_cai": rl}
    assert [build.name for build in DatasetBuild.objects.order_by("pk")] == [
        "sl-cai", "preferences", "preferences-heldout",
    ]  # fmt: skip
    assert MetricPoint.objects.filter(stage__slug="sft", name="loss").count() == 3
    assert RunEvent.objects.filter(kind="record").get().data["record"] == "rollout"
    _lineage_is_whole(rl)
    _job_is_portable(stage_of(run, "rl"))

    verbs = list(LedgerEntry.objects.order_by("seq").values_list("verb", flat=True))
    assert verbs[-1] == "run.succeeded" and verbs.count("checkpoint.publish") == 3 and verbs.count("dataset.build") == 2
    assert verify_ledger().ok
    before = RunEvent.objects.count(), LedgerEntry.objects.count()
    assert run_once(run.pk, conduct=QUICK) is None
    assert (RunEvent.objects.count(), LedgerEntry.objects.count()) == before


def _lineage_is_whole(rl: Checkpoint) -> None:
    line = lineage.of_checkpoint(rl)
    assert [one.stage for one in line.ancestors] == ["sft"]
    assert {build.stage for build in line.builds} == {"sft", "reward"}
    assert line.learnt.labels.number == AILabel.objects.count()
    assert line.learnt.steps.number == TraceStep.objects.count()
    assert line.learnt.human_comparisons.number == 4
    label = AILabel.objects.first()
    assert label is not None
    assert {one.stage for one in lineage.of_label(label)} == {"reward", "rl"}
    assert lineage.database_agrees(rl).ok


def _job_is_portable(stage: RunStage) -> None:
    """Everything but the base model is named by a relative path, and the digest of the file is kept."""
    text = (stage.folder / "job.json").read_text()
    job = json.loads(text)
    paths = [job["model"]["path"], *(one["path"] for part in ("models", "inputs") for one in job[part].values())]
    assert all(not path.startswith("/") for path in paths)
    assert hashlib.sha256(text.encode()).hexdigest() == stage.job_digest
    assert {entry["name"] for entry in job["parents"]["datasets"]} == {"sl-cai", "preferences", "preferences-heldout"}


def test_it_starts_a_killed_stage_again_and_keeps_every_record_once() -> None:
    run = launched(script={"generate": {"kill_after": 2, "kills": 2}, "revise": {"fail": "bad_input"}})
    assert run_once(run.pk, conduct=QUICK) == "failed"
    stage = stage_of(run, "generate")
    assert stage.state == "succeeded"
    events = read_events(stage.folder / "events.jsonl")
    assert sum(event["kind"] == "started" for event in events) == 3
    assert Trace.objects.filter(run=run).count() == sum(event["kind"] == "record" for event in events) == stage.total
    assert (stage.folder / "log.txt").read_text().count("killed by signal 9 (SIGKILL)") == 2


def test_it_fails_truthfully_when_something_kills_the_stage_again_and_again() -> None:
    run = launched(script={"generate": {"kill_after": 1, "kills": 99}})
    assert run_once(run.pk, conduct=QUICK) == "failed"
    run = fresh(run)
    assert run.reason == "The stage generate was killed by signal 9 (SIGKILL)."
    assert "out of memory" in run.advice
    assert (run.exit_code, stage_of(run, "generate").state) == (-9, "failed")


@pytest.mark.parametrize(("kind", "code"), [("bad_input", 2), ("out_of_memory", 1)])
def test_it_tells_why_a_stage_failed_and_a_resume_does_not_redo_what_is_done(kind: str, code: int) -> None:
    run = launched(script={"revise": {"fail": kind}})
    assert run_once(run.pk, conduct=QUICK) == "failed"
    run = fresh(run)
    assert run.reason == "The stage revise failed: revise was told to fail."
    assert (run.advice, run.exit_code) == ("Tell it otherwise, and resume.", code)
    done = stage_of(run, "generate")

    (run.folder / scripted.SCRIPT).write_text('{"sample": {"fail": "bad_input"}}')
    run = resume_run(user=engineer(), run=run)
    assert (run.state, run.reason) == ("queued", "")
    assert run_once(run.pk, conduct=QUICK) == "failed"
    assert "sample" in fresh(run).reason
    assert (stage_of(run, "generate").finished_at, stage_of(run, "sft").state) == (done.finished_at, "succeeded")
    assert TraceStep.objects.count() == 2 * Trace.objects.filter(prompt__prompt_set__kind="red_team").count()


@pytest.mark.parametrize(("trouble", "sentence"), [("forge", "another constitution"), ("tamper", "does not verify")])
def test_it_refuses_a_checkpoint_that_is_not_what_it_should_be(trouble: str, sentence: str) -> None:
    run = launched(script={"sft": {trouble: True}})
    assert run_once(run.pk, conduct=QUICK) == "failed"
    assert sentence in fresh(run).reason
    assert not Checkpoint.objects.exists()


def test_it_stops_when_people_cancel_and_goes_on_when_they_resume() -> None:
    run = launched(script={"generate": {"wait_at": 2}, "revise": {"fail": "bad_input"}})
    with running(run) as result:
        wait_for(lambda: Trace.objects.filter(run=run).count() >= 2, what="two responses")
        assert cancel_run(user=engineer(), run=run).state == "stopping"
        assert result() == "cancelled"
    assert fresh(run).reason == "engineer asked it to stop."
    assert stage_of(run, "generate").state == "stopped"
    kept = Trace.objects.filter(run=run).count()
    assert kept == 2
    run = resume_run(user=engineer(), run=run)
    assert run_once(run.pk, conduct=QUICK) == "failed"  # at revise, which is told to
    assert Trace.objects.filter(run=run).count() == stage_of(run, "generate").total


def test_it_ends_a_stage_that_does_not_stop_when_asked() -> None:
    run = launched(script={"generate": {"pause": 0.5, "deaf": True}})
    with running(run, replace(QUICK, stop_grace_s=0.3)) as result:
        wait_for(lambda: Trace.objects.filter(run=run).exists(), what="a response")
        cancel_run(user=engineer(), run=run)
        assert result() == "cancelled"
    assert "did not stop in time" in stage_of(run, "generate").reason
    assert not stage_programs()


def test_it_puts_the_run_back_when_the_worker_is_shut_down() -> None:
    run = launched(script={"generate": {"wait_at": 1}})
    with running(run) as result:
        wait_for(lambda: Trace.objects.filter(run=run).exists(), what="a response")
        (program,) = stage_programs()
        program.send_signal(signal.SIGTERM)
        assert result() == "queued"
    run = fresh(run)
    assert (run.state, run.attempt, run.lease_owner) == ("queued", 0, "")
    assert "shut down" in run.reason
    assert stage_of(run, "generate").state == "waiting"


def test_it_ends_its_stage_and_writes_nothing_more_once_the_lease_is_lost() -> None:
    run = launched(script={"generate": {"wait_at": 1}})
    with running(run) as result:
        wait_for(lambda: Trace.objects.filter(run=run).exists(), what="a response")
        Run.objects.filter(pk=run.pk).update(fencing_token=99, lease_owner="somebody else")
        assert result() is None
    assert not stage_programs()
    run = fresh(run)
    assert (run.state, run.lease_owner) == ("running", "somebody else")
    assert stage_of(run, "generate").last_seq <= len(read_events(stage_of(run, "generate").folder / "events.jsonl"))


def test_a_fault_of_the_runner_itself_is_a_failed_run() -> None:
    def broken(stage: str, job: Path) -> list[str]:
        raise RuntimeError("the command cannot be made")

    run = launched()
    assert run_once(run.pk, conduct=replace(QUICK, command=broken)) == "failed"
    assert fresh(run).reason == "The runner failed: RuntimeError: the command cannot be made"
    assert stage_of(run, "generate").state == "failed"


def test_a_run_whose_database_went_away_does_not_wait_for_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    run = launched(script={"revise": {"fail": "bad_input"}})
    mark = runner._Runner._mark
    outages = iter([OperationalError("server closed the connection")])

    def marks(self: Any, stage: RunStage, **values: object) -> None:
        if values.get("state") == "succeeded" and (outage := next(outages, None)):
            raise outage
        mark(self, stage, **values)

    monkeypatch.setattr(runner._Runner, "_mark", marks)
    assert run_once(run.pk, conduct=QUICK) is None
    run = fresh(run)
    assert (run.state, run.attempt, run.lease_owner) == ("queued", 0, "")
    assert stage_of(run, "generate").state == "waiting"
    assert run_once(run.pk, conduct=QUICK) == "failed"  # at revise, which is told to
    assert stage_of(run, "generate").state == "succeeded"


def test_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    run = launched()
    monkeypatch.setattr(jobs, "write_text", full)
    assert run_once(run.pk, conduct=QUICK) == "failed"
    assert "The disk that holds" in fresh(run).reason and "Make room" in fresh(run).advice


def test_a_program_that_says_nothing_is_a_failure_with_its_last_words() -> None:
    run = launched()
    silent = ["sh", "-c", "echo the last words; exit 4"]
    assert run_once(run.pk, conduct=replace(QUICK, command=lambda stage, job: silent)) == "failed"
    assert fresh(run).reason == "The stage generate ended with exit code 4: the last words"
    lazy = replace(QUICK, command=lambda stage, job: ["true"])
    assert run_once(resume_run(user=engineer(), run=run).pk, conduct=lazy) == "failed"
    assert "without saying that it is finished" in fresh(run).reason


def test_a_folder_moved_aside_is_done_again_and_nothing_is_lost_or_doubled() -> None:
    run = launched(script={"generate": {"kill_after": 2, "kills": 99}})
    assert run_once(run.pk, conduct=replace(QUICK, kill_retries=0)) == "failed"
    stage = stage_of(run, "generate")
    assert stage.last_seq > 2
    RunStage.objects.filter(pk=stage.pk).update(last_seq=1000)  # it had been at work for long
    shutil.rmtree(stage.folder)
    (run.folder / scripted.SCRIPT).write_text('{"revise": {"fail": "bad_input"}}')
    assert run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK) == "failed"  # at revise, which is told to
    stage = stage_of(run, "generate")
    events = read_events(stage.folder / "events.jsonl")
    assert (stage.state, stage.last_seq) == ("succeeded", len(events))
    assert Trace.objects.filter(run=run).count() == sum(event["kind"] == "record" for event in events) == stage.total


def test_events_that_a_crash_of_the_machine_took_back_are_read_anew() -> None:
    run = launched(script={"generate": {"kill_after": 3, "kills": 99}})
    assert run_once(run.pk, conduct=replace(QUICK, kill_retries=0)) == "failed"
    log = stage_of(run, "generate").folder / "events.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    RunStage.objects.filter(run=run, slug="generate").update(last_seq=1000)
    (run.folder / scripted.SCRIPT).write_text('{"revise": {"fail": "bad_input"}}')
    assert run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK) == "failed"
    stage = stage_of(run, "generate")
    assert stage.state == "succeeded", fresh(run).reason
    assert Trace.objects.filter(run=run).count() == stage.total
    assert RunEvent.objects.filter(stage=stage).latest("seq").kind == "finished"


def test_an_artifact_folder_that_cannot_be_used_is_a_sentence() -> None:
    run = launched()
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    run.folder.write_text("in the way")
    assert run_once(run.pk, conduct=QUICK) == "failed"
    run = fresh(run)
    assert run.reason == f"{stage_of(run, 'generate').folder} cannot be used: Not a directory."
    assert "artifact folder" in run.advice


def test_a_log_that_ends_in_nuls_still_lets_the_run_fail() -> None:
    run = launched()
    torn = ["sh", "-c", "printf 'half a\\000 line'; exit 4"]
    assert run_once(run.pk, conduct=replace(QUICK, command=lambda stage, job: torn)) == "failed"
    assert fresh(run).reason == "The stage generate ended with exit code 4: half a line"
