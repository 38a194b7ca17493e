"""What is gone is made again and nothing else; what is thrown away is only what a resume would need."""

from __future__ import annotations

import json
import shutil
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from constitutions_app.models import LedgerEntry
from tests.training_app import scripted
from tests.training_app.scenes import QUICK, engineer, launched
from training_app import rerun
from training_app.actions import cancel_run, resume_run
from training_app.core.digests import digest_file
from training_app.core.events import read_events
from training_app.core.manifest import verify
from training_app.management.commands import rerun_stage
from training_app.models import Checkpoint, Run, RunStage, Trace
from training_app.refusals import SteeringRefused
from training_app.runner import run_once

pytestmark = pytest.mark.django_db(transaction=True)


def stage_of(run: Run, slug: str) -> RunStage:
    return RunStage.objects.select_related("run").get(run=run, slug=slug)


def failed_at(slug: str) -> Run:
    run = launched(script={slug: {"fail": "bad_input"}})
    assert run_once(run.pk, conduct=QUICK) == "failed"
    return Run.objects.get(pk=run.pk)


def test_an_output_that_was_deleted_is_made_again_by_resume_and_the_rest_is_not() -> None:
    run = failed_at("reward")
    lost = stage_of(run, "generate").folder / "responses.jsonl"
    before, traces = digest_file(lost), Trace.objects.count()
    untouched = {slug: stage_of(run, slug).finished_at for slug in ("revise", "sft", "label")}
    lost.unlink()
    assert run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK) == "failed"
    assert (digest_file(lost), Trace.objects.count()) == (before, traces)
    assert {slug: stage_of(run, slug).finished_at for slug in untouched} == untouched
    generate = stage_of(run, "generate")
    assert generate.state == "succeeded"
    assert "responses.jsonl is gone; the stage is done again." in (generate.folder / "log.txt").read_text()


def test_a_lost_checkpoint_is_made_again_with_the_manifest_it_had() -> None:
    run = failed_at("reward")
    made = Checkpoint.objects.get(run=run, stage="sft")
    shutil.rmtree(made.folder)
    run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK)
    found = verify(made.folder)
    assert (found.ok, found.manifest_digest) == (True, made.digest)
    assert stage_of(run, "sft").state == "succeeded"
    assert not (stage_of(run, "sft").folder / "remake.json").exists()


def test_a_checkpoint_that_does_not_come_out_the_same_never_passes_for_the_lost_one() -> None:
    run = failed_at("reward")
    made = Checkpoint.objects.get(run=run, stage="sft")
    shutil.rmtree(made.folder)
    (run.folder / scripted.SCRIPT).write_text('{"sft": {"other_weights": true}}')
    assert run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK) == "failed"
    run.refresh_from_db()
    assert "made again, but it is not the same: model.safetensors" in run.reason
    assert "launch a new run" in run.advice


def test_discarding_deletes_only_what_a_resume_would_need_and_ends_the_run_for_good() -> None:
    run = failed_at("sft")
    stage = stage_of(run, "sft")
    states = stage.folder / "trainer" / "checkpoint-3"
    states.mkdir(parents=True)
    (states / "optimizer.pt").write_bytes(b"x" * 1000)
    responses = stage_of(run, "generate").folder / "responses.jsonl"
    after = cancel_run(user=engineer(), run=run, discard=True)
    assert (after.state, after.discarded, after.can_resume) == ("failed", True, False)
    assert sorted(path.name for path in stage.folder.iterdir()) == ["events.jsonl", "job.json", "log.txt"]
    assert responses.is_file() and Trace.objects.exists()
    with pytest.raises(SteeringRefused):
        resume_run(user=engineer(), run=after)
    with pytest.raises(SteeringRefused, match="already ended"):
        cancel_run(user=engineer(), run=after, discard=True)
    assert '"discard":true' in LedgerEntry.objects.order_by("-seq")[0].body.replace(" ", "")


def test_a_stage_is_rerun_from_its_recorded_job_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed_at("reward")
    monkeypatch.setattr(
        rerun_stage, "rerun", lambda stage, environment: rerun.rerun(stage, environment, command=scripted.command)
    )
    before = {path.name for path in run.folder.iterdir()}
    for slug, files in (("generate", 1), ("sft", 3)):
        out = StringIO()
        call_command("rerun_stage", str(run.number), slug, compare=True, stdout=out)
        assert f"{files} of {files} files are the same." in out.getvalue()
    assert {path.name for path in run.folder.iterdir()} == before
    assert LedgerEntry.objects.filter(verb="run.rerun_stage").count() == 2

    (run.folder / scripted.SCRIPT).write_text('{"sft": {"other_weights": true}}')
    with pytest.raises(CommandError, match="did not make the same"):
        call_command("rerun_stage", str(run.pk), "sft", compare=True, stdout=StringIO())
    job = stage_of(run, "sft").folder / "job.json"
    job.write_text(json.dumps(json.loads(job.read_text()) | {"seed": 99}))
    with pytest.raises(CommandError, match="its digest differs"):
        call_command("rerun_stage", str(run.number), "sft", stdout=StringIO())
    for wrong in (("999", "sft"), (str(run.number), "nothing"), ("x", "sft"), (str(run.number), "rl")):
        with pytest.raises(CommandError):
            call_command("rerun_stage", *wrong, stdout=StringIO())


def test_events_of_a_stage_done_again_go_on_in_the_same_log() -> None:
    run = failed_at("revise")
    generate = stage_of(run, "generate")
    (generate.folder / "responses.jsonl").unlink()
    run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK)
    events = read_events(generate.folder / "events.jsonl")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert stage_of(run, "generate").last_seq == len(events)
