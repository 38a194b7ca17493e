"""Every algorithm from the launch form to checkpoints that verify: real training of the two-layer model.

The stages run in this process instead of one each, so that torch is loaded once; everything else is the product's own.
GRPO goes the same way in `test_draft_to_lineage.py`, with workers and processes.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from tests.flows.test_draft_to_lineage import TINY
from tests.tiny_model import build_tiny_model
from tests.training_app.core.training_jobs import in_float32
from tests.training_app.factories import published_version
from tests.training_app.in_this_process import InThisProcess
from tests.training_app.scenes import comparisons, engineer, helpful, red_team
from training_app import lineage, runner
from training_app.actions import record_audit
from training_app.actions.record_audit import Verdict
from training_app.configuration import effective_config
from training_app.core.manifest import verify
from training_app.forms import values_of_config
from training_app.models import AILabel, Checkpoint, DatasetBuild, DatasetItem, Evaluation, Run
from training_app.runner import Conduct, run_once

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = f"tiny-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
"""A model of this worker: the folder of models is shared, and another would be read while it is built anew."""


@pytest.fixture
def form(monkeypatch: pytest.MonkeyPatch) -> Client:
    """An engineer's browser, with everything there that the launch form offers."""
    in_float32(monkeypatch)
    monkeypatch.setattr(runner, "StageProcess", InThisProcess)
    build_tiny_model(Path(settings.MODELS_ROOT) / MODEL)
    published_version(engineer())
    for one in (red_team(), helpful(), comparisons()):
        one.refresh_from_db()
    client = Client()
    client.force_login(engineer())
    return client


def launched_and_done(form: Client, **changes: Any) -> Run:
    """The run that the form's fields launch, brought to its end by a worker's own function."""
    rl = {**TINY["rl"], **changes.pop("rl", {})}
    config = effective_config("demo", {**TINY, **changes, "rl": rl})
    typed = {name: "" if value is None else value for name, value in values_of_config(asdict(config)).items()}
    typed = {name: value for name, value in typed.items() if value is not False}
    chosen = {"red_team": ["red"], "helpful": ["help"], "comparisons": ["human"]}
    answer = form.post(
        "/runs/new/",
        typed | chosen | {"version": "harmless-assistant@1", "base_model": MODEL, "preset": "demo", "seed": "7"},
    )
    assert answer.status_code == 302, answer.content.decode()
    run = Run.objects.get()
    brought_to_its_end(run)
    return run


def brought_to_its_end(run: Run) -> None:
    state = run_once(run.pk, conduct=Conduct(look_every_s=0.0))
    run.refresh_from_db()
    assert state == "succeeded", (run.reason, run.advice)


def verified(run: Run) -> dict[str, Checkpoint]:
    """The run's checkpoints by stage, every byte of them checked."""
    made = {one.stage: one for one in Checkpoint.objects.filter(run=run)}
    for one in made.values():
        found = verify(one.folder)
        assert found.ok, found.problems
        assert found.manifest_digest == one.digest
        assert one.manifest["weights_moved"]["changed"] > 0
    return made


def arms_of_verdicts(form: Client, run: Run) -> list[Run]:
    """Somebody overrides a label; both arms go on from the run's labels, launched on its page, each to its end."""
    label = AILabel.objects.filter(run=run, used_in__build__name="preferences").select_related("comparison")[0]
    said = Verdict("override", choice="b" if label.ai_choice == "a" else "a")
    record_audit(user=engineer(), audit_id=uuid4(), item=label, said=said)
    answer = form.post(f"/runs/{run.pk}/compare/", {"seeds": "1", "idempotency_key": str(uuid4())})
    assert answer.status_code == 302
    arms = list(Run.objects.filter(source=run).order_by("number"))
    for arm in arms:
        brought_to_its_end(arm)
    page = form.get(answer["Location"]).content.decode()
    assert "2 of 2 runs have ended" in page and "AI labels only" in page
    return arms


def measured(run: Run) -> dict[str, Any]:
    return {one.model: one.metrics for one in Evaluation.objects.filter(run=run)}


@pytest.mark.timeout(400)
def test_ppo_and_dpo_from_the_same_sl_cai(form: Client) -> None:
    run = launched_and_done(form, method="both", rl={"algorithm": "ppo"}, dpo={"batch_size": 4, "max_length": 256})
    made = verified(run)
    assert set(made) == {"sft", "reward", "rl", "dpo"}
    assert made["rl"].manifest["config"]["algorithm"] == "ppo"
    assert (made["dpo"].parent, made["dpo"].reward_model) == (made["sft"], None)
    assert set(measured(run)) == {"base", "sl_cai", "rl_cai", "dpo_cai"}
    items = DatasetItem.objects.filter(build__run=run, build__stage="dpo").exclude(label=None)
    label = items[0].label
    assert label is not None and made["dpo"] in lineage.of_label(label)
    page = form.get(f"/checkpoints/{made['dpo'].pk}/").content.decode()
    assert "DPO-CAI" in page
    assert form.get(f"/runs/{run.pk}/stages/dpo/").status_code == 200
    assert "DPO-CAI" in form.get(f"/runs/{run.pk}/").content.decode()
    ai_alone, corrected = arms_of_verdicts(form, run)
    for arm in (ai_alone, corrected):
        anew = verified(arm)
        assert set(anew) == {"reward", "rl", "dpo"}
        assert {anew["rl"].parent, anew["dpo"].parent, anew["reward"].parent} == {made["sft"]}
        line = lineage.of_checkpoint(anew["rl"])
        assert line.ancestors == (made["sft"],) and {build.run for build in line.builds} == {run, arm}
        assert measured(arm).keys() == {"base", "sl_cai", "rl_cai", "dpo_cai"}
    sources = [
        {json.loads(line)["source"] for line in (Path(settings.ARTIFACT_ROOT) / build.path).read_text().splitlines()}
        for arm in (ai_alone, corrected)
        for build in DatasetBuild.objects.filter(run=arm, stage="reward", name="preferences")
    ]
    assert ["audit" in found for found in sources] == [False, True]


def test_rloo_with_the_judge_as_reward_and_dpo_on_revisions_need_no_labels(form: Client) -> None:
    run = launched_and_done(
        form, method="both", rl={"algorithm": "rloo", "reward": "judge"},
        dpo={"pairs": "revisions", "batch_size": 4, "max_length": 256},
    )  # fmt: skip
    assert [stage.slug for stage in run.stages.all()] == ["generate", "revise", "sft", "rl", "dpo", "evaluate"]
    made = verified(run)
    assert set(made) == {"sft", "rl", "dpo"}
    assert made["rl"].reward_model is None
    assert all(metrics["reward_mean"] is None for metrics in measured(run).values())
    step = DatasetItem.objects.filter(build__run=run, build__stage="dpo").exclude(step=None)[0].step
    assert step is not None and made["dpo"] in lineage.of_step(step)
    assert form.get(f"/checkpoints/{made['rl'].pk}/").status_code == 200
    assert form.get(f"/runs/{run.pk}/").status_code == 200


def test_sl_cai_alone_is_a_whole_run(form: Client) -> None:
    run = launched_and_done(form, method="sft_only")
    assert [stage.slug for stage in run.stages.all()] == ["generate", "revise", "sft", "evaluate"]
    assert set(verified(run)) == {"sft"}
    assert set(measured(run)) == {"base", "sl_cai"}
