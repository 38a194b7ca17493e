"""From weights to words and people, and back, in a number of queries that does not grow with the run."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from constitutions_app.models import PrincipleVersion
from tests.training_app.factories import RED_TEAM, finished_run, published_version
from tests.training_app.scenes import comparisons, engineer
from training_app import build_items, lineage
from training_app.actions import build_dataset, record_audit
from training_app.actions.record_audit import Verdict
from training_app.counting import NONE, UpTo
from training_app.models import TraceStep

pytestmark = pytest.mark.django_db


def test_a_checkpoint_leads_back_to_words_data_and_people() -> None:
    made = finished_run(engineer())
    auditor = User.objects.create_user("auditor")
    record_audit(user=auditor, audit_id=uuid4(), item=made.steps[0], said=Verdict("agree"))
    line = lineage.of_checkpoint(made.rl)
    assert (line.run, line.version) == (made.run, made.run.version)
    assert (line.ancestors, line.reward_model) == ((made.sft,), made.reward)
    assert line.builds == tuple(made.builds)
    assert (line.learnt.steps, line.learnt.labels) == (UpTo(len(made.steps)), UpTo(len(made.labels)))
    assert (line.learnt.audits, line.learnt.people) == (UpTo(1), (auditor,))
    assert {one.model for one in line.evaluations} == {"base", "sl_cai", "rl_cai"}
    assert [judge.template for judge in line.judges] == ["paper"]
    assert lineage.of_checkpoint(made.sft).descendants == (made.reward, made.rl)
    assert lineage.of_checkpoint(made.sft).learnt.labels == NONE


def test_labels_steps_principles_and_versions_lead_forward_to_what_they_taught() -> None:
    made = finished_run(engineer())
    assert lineage.of_label(made.labels[0]) == (made.reward, made.rl)
    assert lineage.of_step(made.steps[0]) == (made.sft, made.reward, made.rl)
    assert lineage.of_build(made.builds[1]) == (made.reward, made.rl)
    principle = made.steps[0].principle
    told = lineage.of_principle(principle)
    assert told.checkpoints == (made.sft, made.reward, made.rl)
    assert told.citing.steps == UpTo(TraceStep.objects.filter(principle=principle).count())
    version = lineage.of_version(made.run.version)
    assert (version.runs, len(version.checkpoints)) == ((made.run,), 3)
    assert (version.steps, version.labels) == (len(made.steps), len(made.labels))


def test_what_no_checkpoint_was_trained_on_taught_nothing() -> None:
    made = finished_run(engineer())
    made.run.prompt_sets.add(comparisons())
    (build,) = build_dataset(user=engineer(), run=made.run, stage="sft")
    assert lineage.of_build(build) == ()
    other = published_version(engineer(), slug="another")
    assert lineage.of_principle(PrincipleVersion.objects.filter(version=other)[0]).checkpoints == ()


def test_what_was_learnt_from_is_counted_as_far_as_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    made = finished_run(engineer())
    whole = lineage.of_checkpoint(made.rl)
    monkeypatch.setattr(build_items, "MOST", 1)
    few = lineage.of_checkpoint(made.rl)
    assert whole.learnt.steps.number > 1 and not whole.learnt.steps.is_more
    assert (str(few.learnt.steps), str(few.learnt.labels)) == ("1+", "1+") and few.judges == whole.judges
    assert str(few.seen.of_build[made.builds[0].pk].revisions) == "1+"


def test_the_number_of_queries_does_not_grow_with_the_run() -> None:
    counts = []
    for prompts in (RED_TEAM[:2], tuple(f"{text} {n}" for n in range(5) for text in RED_TEAM)):
        made = finished_run(engineer(), red_team=prompts)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            lineage.of_checkpoint(made.rl)
            lineage.of_label(made.labels[0])
            lineage.of_principle(made.steps[0].principle)
            lineage.of_version(made.run.version)
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 30


def test_the_database_is_held_against_the_folder() -> None:
    made = finished_run(engineer())
    assert lineage.database_agrees(made.rl).ok
    manifest = made.rl.folder / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")
    assert "digest differs" in lineage.database_agrees(made.rl).sentence
    manifest.unlink()
    assert "missing" in lineage.database_agrees(made.rl).sentence
