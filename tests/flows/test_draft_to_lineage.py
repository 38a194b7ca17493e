"""The whole line: a draft is published, a run is launched, audited, and its weights lead back to the words.

Real PostgreSQL, real Redis, a real Celery worker, real training; only the model is small (two layers, made here).
"""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from constitutions_app import starter_material
from constitutions_app.actions import publish_version
from constitutions_app.ledger import verify as verify_ledger
from constitutions_app.models import Constitution, LedgerEntry, Version
from tests.base import wait_for
from tests.flows.workers import warm_gpu_worker
from tests.tiny_model import build_tiny_model
from tests.training_app.factories import cited
from tests.training_app.scenes import comparisons, helpful, red_team
from training_app import lineage
from training_app.actions import build_dataset, launch_run, record_audit
from training_app.actions.record_audit import Verdict
from training_app.core import verify_evidence
from training_app.core.datasets import canonical_jsonl
from training_app.core.manifest import verify
from training_app.evidence import write_evidence
from training_app.models import (
    AILabel,
    Checkpoint,
    Comparison,
    DatasetItem,
    Evaluation,
    MetricPoint,
    Run,
    RunStage,
    Trace,
    TraceStep,
)

SMALL = {"temperature": 1.0, "max_new_tokens": 6, "batch_size": 8}
TINY: dict[str, Any] = {
    "max_prompts": 6,
    "generate": {"sampling": SMALL},
    "revise": {"rounds": 2, "exemplars": 1, "sampling": SMALL},
    "sft": {"epochs": 1.0, "batch_size": 4, "max_length": 256, "learning_rate": 1e-3},
    "sample": {"sampling": SMALL},
    "label": {"batch_size": 4},
    "reward": {"epochs": 1.0, "batch_size": 4, "max_length": 256, "learning_rate": 1e-3, "heldout_fraction": 0.2},
    "rl": {"steps": 2, "generations": 2, "prompts_per_step": 2, "max_completion_length": 6, "learning_rate": 1e-4},
    "evaluate": {"sampling": SMALL, "bootstrap": 50},
}
"""The demo preset, made small enough for seconds of real training."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("warm")
def test_from_a_draft_to_an_audited_checkpoint(tmp_path: Path, settings: LazySettings) -> None:
    settings.MODELS_ROOT = tmp_path / "models"
    build_tiny_model(settings.MODELS_ROOT / "tiny")
    author, engineer, auditor = (User.objects.create_user(name) for name in ("author", "engineer", "auditor"))
    for user in (author, engineer, auditor):
        user.groups.add(Group.objects.get(name=user.username))

    version = _published(author)
    run = launch_run(
        user=engineer, version=version, base_model="tiny", prompt_sets=[red_team(), helpful(), comparisons()],
        preset="demo", seed=11, overrides=TINY,
    )  # fmt: skip
    with warm_gpu_worker(tmp_path) as worker:
        wait_for(lambda: Run.objects.get(pk=run.pk).has_ended, 420, what="the run to end")
    run = Run.objects.get(pk=run.pk)
    assert run.state == "succeeded", (run.reason, worker.log.read_text()[-3000:])

    _everything_was_kept(run, version)
    checkpoint = _checkpoints_verify(run, version)
    _an_override_changes_what_is_trained_on(run, auditor)
    _weights_lead_back_to_words_and_people(checkpoint, version, auditor)
    _every_tampering_is_found(checkpoint, tmp_path)
    _the_evidence_verifies_without_the_app(checkpoint, tmp_path)
    assert verify_ledger().ok
    assert {"version.publish", "run.launch", "run.succeeded", "audit.record", "dataset.build"} <= set(
        LedgerEntry.objects.values_list("verb", flat=True)
    )


def _published(author: User) -> Version:
    """A second version of the starter constitution, with a changed principle."""
    starter_material.load(author)
    draft = Constitution.objects.get(slug="harmless-assistant").draft
    principle = draft.principles.all()[0]
    principle.text += " It says so in one sentence."
    principle.save()
    version = publish_version(user=author, draft=draft, note="The first principle asks for one sentence.")
    assert version.number == 2
    return version


def _everything_was_kept(run: Run, version: Version) -> None:
    """Every record once, citing the published version; every number finite; the rows are what the files say."""
    stages = {stage.slug: stage for stage in RunStage.objects.filter(run=run)}
    assert all(stage.state == "succeeded" and stage.device.startswith("CPU") for stage in stages.values())
    assert all(count > 0 for count in stages["revise"].summary["prompt_tokens"].values())
    red = Trace.objects.filter(run=run, prompt__prompt_set__kind="red_team").count()
    assert Trace.objects.filter(run=run).count() == stages["generate"].total
    assert TraceStep.objects.filter(trace__run=run).count() == 2 * red
    assert Comparison.objects.filter(run=run).count() == red
    assert set(TraceStep.objects.values_list("principle__version", flat=True)) == {version.pk}
    assert set(AILabel.objects.values_list("principle__version", flat=True)) == {version.pk}
    assert {one.model for one in Evaluation.objects.filter(run=run)} == {"base", "sl_cai", "rl_cai"}
    names = set(MetricPoint.objects.filter(stage__run=run).values_list("stage__slug", "name"))
    assert {("sft", "loss"), ("reward", "loss"), ("rl", "reward"), ("rl", "kl")} <= names
    responses = (run.folder / "01-generate" / "responses.jsonl").read_text().splitlines()
    said = {row["prompt"]: row["text"] for row in map(json.loads, responses)}
    kept = dict(Trace.objects.filter(run=run).values_list("prompt__text", "initial_response"))
    assert {prompt: text.replace("\x00", "") for prompt, text in said.items()} == kept


def _checkpoints_verify(run: Run, version: Version) -> Checkpoint:
    made = {one.stage: one for one in Checkpoint.objects.filter(run=run)}
    assert set(made) == {"sft", "reward", "rl"}
    for one in made.values():
        found = verify(one.folder)
        assert found.ok, found.problems
        assert found.manifest_digest == one.digest and found.constitution_digest == version.digest
        assert one.manifest["weights_moved"]["changed"] > 0
        assert (one.folder / "constitution.json").read_text(encoding="utf-8") == version.canonical
    assert (made["rl"].parent, made["rl"].reward_model) == (made["sft"], made["reward"])
    return made["rl"]


def _an_override_changes_what_is_trained_on(run: Run, auditor: User) -> None:
    """An auditor overrides a label and a step; a new build has the one changed and the other left out."""
    label = AILabel.objects.filter(run=run).select_related("comparison", "principle")[0]
    step = TraceStep.objects.filter(trace__run=run, flags=[]).order_by("pk").first() or TraceStep.objects.all()[0]
    choice = "b" if label.ai_choice == "a" else "a"
    override = Verdict("override", choice=choice, reason="misread")
    audit = record_audit(user=auditor, audit_id=uuid4(), item=label, said=override)
    record_audit(user=auditor, audit_id=uuid4(), item=step, said=Verdict("override", revision_better=False))
    rebuilt = build_dataset(user=auditor, run=run, stage="reward")
    rows = [json.loads(line) for build in rebuilt for line in _text(build.path).splitlines()]
    (changed,) = [row for row in rows if row["id"] == label.comparison.key]
    assert (changed["p_a"], changed["source"]) == (1.0 if choice == "a" else 0.0, "audit")
    assert DatasetItem.objects.get(build__in=rebuilt, label=label).audit == audit
    (sft,) = build_dataset(user=auditor, run=run, stage="sft")
    assert sft.rules["overridden"]["dropped"] == 1
    assert not DatasetItem.objects.filter(build=sft, step=step).exists()
    assert canonical_jsonl(map(json.loads, _text(sft.path).splitlines())) == _text(sft.path)


def _text(path: str) -> str:
    from django.conf import settings

    return (Path(settings.ARTIFACT_ROOT) / path).read_text(encoding="utf-8")


def _weights_lead_back_to_words_and_people(checkpoint: Checkpoint, version: Version, auditor: User) -> None:
    line = lineage.of_checkpoint(checkpoint)
    assert (line.version, line.version.author.username) == (version, "author")
    assert {build.name for build in line.builds} >= {"sl-cai", "preferences"}
    assert line.learnt.labels.number == AILabel.objects.count() and line.learnt.people == (auditor,)
    label = AILabel.objects.filter(used_in__build__name="preferences")[0]
    assert checkpoint in lineage.of_label(label)
    assert checkpoint in lineage.of_principle(cited(label)).checkpoints
    assert lineage.database_agrees(checkpoint).ok


def _every_tampering_is_found(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """One byte of weights, manifest or constitution, in the real folder's copy: named, and an exit code of its own."""
    out = StringIO()
    call_command("verify_checkpoint", str(checkpoint.folder), stdout=out)
    assert "the one the database knows" in out.getvalue()
    for name in ("model.safetensors", "manifest.json", "constitution.json"):
        copy = tmp_path / f"copy-{name}"
        shutil.copytree(checkpoint.folder, copy)
        content = bytearray((copy / name).read_bytes())
        content[-2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(CommandError, match=name):
            call_command("verify_checkpoint", str(copy), stdout=StringIO())


def _the_evidence_verifies_without_the_app(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """The real ledger, the real manifests, the real weights: everything that the pack says can be recomputed."""
    write_evidence(checkpoint, tmp_path / "evidence.zip")
    said: list[str] = []
    assert verify_evidence.main([str(tmp_path / "evidence.zip"), "--weights", str(checkpoint.folder)], said.append) == 0
    assert "model.safetensors is the file that the manifest lists." in "\n".join(said)
