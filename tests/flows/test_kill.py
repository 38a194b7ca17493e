"""kill -9 of a stage, of a worker with its pool, doubled messages: the run goes on, no record twice, none missing.

Real PostgreSQL, Redis and Celery workers. The first stories use scripted stages (everything but the science is real);
the last one kills real training.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.db.models import QuerySet

from constitutions_app.models import PrincipleVersion
from tests.base import wait_for
from tests.flows.test_draft_to_lineage import TINY
from tests.flows.workers import Program, gpu_worker, sweeper, warm_gpu_worker
from tests.tiny_model import build_tiny_model
from tests.training_app.factories import published_version
from tests.training_app.scenes import engineer, helpful, launched, red_team
from training_app.actions import cancel_run, launch_run, resume_run
from training_app.core.events import read_events
from training_app.core.manifest import verify
from training_app.models import (
    AILabel,
    Checkpoint,
    Comparison,
    EvaluationAnswer,
    MetricPoint,
    Prompt,
    Run,
    RunEvent,
    RunStage,
    Trace,
    TraceStep,
)
from training_app.runner import run_once
from training_app.tasks import wake

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

WAITING = {"generate": {"wait_at": 2}, "revise": {"wait_at": 2}}
"""Stages that stand still at their second record until they are stopped or killed; started again, they go on."""

SCRIPTED = "tests.flows.scripted_worker"


def state(run: Run) -> str:
    return str(Run.objects.values_list("state", flat=True).get(pk=run.pk))


def ended(run: Run) -> Callable[[], bool]:
    return lambda: Run.objects.get(pk=run.pk).has_ended


def the_stage(worker: Program) -> Any:
    return wait_for(worker.stages, what="a stage process")[0]


def assert_whole(run: Run) -> None:
    """Every record a stage wrote is in the database once, and every stage was done once."""
    for stage in RunStage.objects.filter(run=run):
        stage.run = run
        events = read_events(stage.folder / "events.jsonl")
        assert [event["kind"] for event in events].count("finished") == 1
        assert stage.last_seq == events[-1]["seq"] == len(events)
        written = Counter(event["record"] for event in events if event["kind"] == "record")
        keys = [(event["record"], event["key"]) for event in events if event["kind"] == "record"]
        assert len(keys) == len(set(keys))
        for record, count in written.items():
            assert kept(run, record) == count, f"{record} of {stage.slug}"
    for checkpoint in Checkpoint.objects.filter(run=run):
        assert verify(checkpoint.folder).ok


def kept(run: Run, record: str) -> int:
    """How many rows of one kind of record the run has."""
    rows: dict[str, QuerySet[Any]] = {
        "response": Trace.objects.filter(run=run),
        "step": TraceStep.objects.filter(trace__run=run),
        "comparison": Comparison.objects.filter(run=run),
        "label": AILabel.objects.filter(run=run),
        "answer": EvaluationAnswer.objects.filter(run=run),
        "evaluation": run.evaluations.all(),
        **{
            one: RunEvent.objects.filter(stage__run=run, kind="record", data__record=one)
            for one in ("rollout", "first_batch")
        },
    }
    return rows[record].count()


def test_a_run_survives_the_death_of_its_stage_and_of_its_worker(tmp_path: Path) -> None:
    run = launched(script=WAITING)
    with sweeper(tmp_path):
        with gpu_worker(tmp_path, app=SCRIPTED, name="first") as first:
            wait_for(lambda: kept(run, "response") >= 2, what="two responses")
            the_stage(first).kill()
            wait_for(lambda: kept(run, "step") >= 2, what="two steps")
            orphan = the_stage(first)
            first.kill_group()
            wait_for(lambda: not orphan.is_running(), 12, what="the stage to notice that its worker died")
        assert state(run) in ("running", "queued")
        with gpu_worker(tmp_path, app=SCRIPTED, name="second"):
            for _ in range(5):
                wake(run.pk)  # messages that came twice, or late, do nothing
            wait_for(ended(run), 60, what="the run to end")
    run = Run.objects.get(pk=run.pk)
    assert (run.state, run.attempt) == ("succeeded", 2), run.reason
    assert "killed by signal 9" in (run.folder / "01-generate" / "log.txt").read_text()
    assert_whole(run)


def test_a_run_is_cancelled_resumed_and_put_back_by_a_shutdown_without_a_trace(tmp_path: Path) -> None:
    run = launched(script=WAITING)
    with gpu_worker(tmp_path, app=SCRIPTED, name="first"):
        wait_for(lambda: kept(run, "response") == 2, what="two responses")
        cancel_run(user=engineer(), run=run)
        wait_for(ended(run), what="the run to be cancelled")
        assert state(run) == "cancelled"
        resume_run(user=engineer(), run=run)
        wait_for(lambda: kept(run, "step") == 2, what="two steps")
    # Leaving the block sent SIGTERM to the worker: it asked the stage to stop and put the run back.
    assert state(run) == "queued"
    with sweeper(tmp_path), gpu_worker(tmp_path, app=SCRIPTED, name="second"):
        wait_for(ended(run), 60, what="the run to end")
    assert state(run) == "succeeded"
    assert_whole(run)


def test_of_two_workers_racing_for_runs_each_run_goes_to_one() -> None:
    version, sets = published_version(engineer()), [red_team(), helpful()]
    runs = [
        launched(version, prompt_sets=sets, script={"generate": {"fail": "bad_input"}}, seed=seed) for seed in range(8)
    ]
    answers: dict[str, list[Any]] = {"one": [], "two": []}

    def work(name: str) -> None:
        from tests.training_app.scenes import QUICK

        try:
            answers[name] = [run_once(run.pk, conduct=QUICK, owner=name) for run in runs]
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run, pair in zip(runs, zip(*answers.values(), strict=True), strict=True):
        assert sorted(map(str, pair)) == ["None", "failed"]
        assert set(Run.objects.filter(pk=run.pk).values_list("attempt", "fencing_token")) == {(1, 1)}
    assert RunEvent.objects.filter(kind="failed").count() == 8


@pytest.mark.xdist_group("warm")
def test_real_training_survives_kill_9(tmp_path: Path, settings: LazySettings) -> None:
    settings.MODELS_ROOT = tmp_path / "models"
    build_tiny_model(settings.MODELS_ROOT / "tiny")
    sft = {**TINY["sft"], "epochs": 8.0, "save_steps": 3}
    run = launch_run(
        user=engineer(), version=published_version(engineer()), base_model="tiny", preset="demo", seed=5,
        prompt_sets=[red_team(), helpful()], overrides={**TINY, "sft": sft},
    )  # fmt: skip
    already_revised(run)
    with warm_gpu_worker(tmp_path) as worker:
        wait_for(lambda: len(steps(run)) > 3, 240, what="training to begin")
        the_stage(worker).kill()
        wait_for(ended(run), 240, what="the run to end")
    assert state(run) == "succeeded"
    stage = RunStage.objects.get(run=run, slug="sft")
    stage.run = run
    assert "killed by signal 9" in (stage.folder / "log.txt").read_text()
    assert steps(run) == list(range(1, (stage.total or 0) + 1))
    started = [event for event in read_events(stage.folder / "events.jsonl") if event["kind"] == "started"]
    assert len(started) == 2 and started[1]["resumed_at"] > 0
    assert verify(Checkpoint.objects.get(run=run).folder).ok


def already_revised(run: Run) -> None:
    """Leave the run as its first two stages do, with the training that is to be killed as its last one."""
    principle = PrincipleVersion.objects.filter(version=run.version)[0]
    for prompt in Prompt.objects.filter(prompt_set__runs=run):
        trace = Trace.objects.create(run=run, prompt=prompt, initial_response="Of course.")
        if prompt.prompt_set.kind == "red_team":
            answer = f"I would rather not: {prompt.text}"
            TraceStep.objects.create(trace=trace, round=1, principle=principle, revision=answer)
    run.stages.filter(slug__in=("generate", "revise")).update(state="succeeded")
    run.stages.filter(position__gt=3).delete()


def steps(run: Run) -> list[int]:
    """The training steps whose loss is known."""
    points = MetricPoint.objects.filter(stage__run=run, stage__slug="sft", name="loss")
    return list(points.order_by("step").values_list("step", flat=True))
