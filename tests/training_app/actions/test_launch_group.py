"""Runs launched to be compared: all or none, the same but for one thing, and going on from another run's labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from constitutions_app.models import LedgerEntry
from tests.training_app import scenes, scripted
from tests.training_app.factories import FinishedRun, finished_run, published_version
from tests.training_app.scenes import engineer
from training_app.actions import compare_verdicts, continue_run, launch_group, record_audit
from training_app.actions.record_audit import Verdict
from training_app.arms import OFFERED, Arm
from training_app.core.expected import Expectation
from training_app.models import Run, RunGroup
from training_app.refusals import LaunchRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def given() -> dict[str, Any]:
    """What a launch is told, with a base model and prompt sets that are there."""
    scripted.base_model(Path(settings.MODELS_ROOT) / scenes.BASE_MODEL)
    return {
        "user": engineer(), "version": published_version(engineer()), "base_model": scenes.BASE_MODEL,
        "prompt_sets": [scenes.red_team(), scenes.helpful()], "preset": "demo", "name": "words",
    }  # fmt: skip


def test_every_arm_is_launched_with_every_seed_and_nothing_else_differs(given: dict[str, Any]) -> None:
    _, arms = OFFERED["critique"]
    group = launch_group(arms=arms, seeds=[3, 4], overrides={"max_prompts": 4}, **given)
    runs = list(Run.objects.filter(group=group).order_by("number"))
    assert [(run.arm, run.seed) for run in runs] == [
        ("with critique", 3), ("without critique", 3), ("with critique", 4), ("without critique", 4)
    ]  # fmt: skip
    assert [run.config["revise"].pop("critique") for run in runs] == [True, False, True, False]
    assert all(run.config == runs[0].config and run.config["max_prompts"] == 4 for run in runs)
    assert LedgerEntry.objects.filter(verb="runs.compare").count() == 1


def test_the_same_launch_sent_twice_is_one_group(given: dict[str, Any]) -> None:
    key = uuid4()
    groups = [launch_group(arms=[Arm("one")], seeds=[3, 4], group_id=key, **given) for _ in range(2)]
    assert groups[0] == groups[1] and Run.objects.count() == 2


def test_what_is_expected_is_kept_with_the_launch_and_in_the_ledger(given: dict[str, Any]) -> None:
    _, arms = OFFERED["critique"]
    said = [Expectation("with critique", "words", more=True)]
    group = launch_group(arms=arms, seeds=[3], expects=said, **given)
    assert group.expects == [{"arm": "with critique", "feature": "words", "more": True}]
    assert '"feature":"words"' in LedgerEntry.objects.get(verb="runs.compare").body.replace(" ", "")
    with pytest.raises(LaunchRefused, match="There is no side") as refused:
        launch_group(arms=arms, seeds=[4], expects=[Expectation("x", "words", more=True)], **given)
    assert refused.value.field == "expects" and RunGroup.objects.count() == 1


def test_one_impossible_arm_launches_none(given: dict[str, Any]) -> None:
    arms = [Arm("good"), Arm("bad", {"rl": {"steps": 0}})]
    with pytest.raises(LaunchRefused, match=r"rl\.steps"):
        launch_group(arms=arms, seeds=[3], **given)
    assert not Run.objects.exists() and not RunGroup.objects.exists()


@pytest.mark.parametrize(
    ("arms", "seeds"),
    [([], [1]), ([Arm("a"), Arm("a")], [1]), ([Arm("a")], []), ([Arm("a")], [1, 1]), ([Arm("a")], range(65))],
)
def test_what_is_no_comparison_is_refused(given: dict[str, Any], arms: list[Arm], seeds: list[int]) -> None:
    with pytest.raises(LaunchRefused):
        launch_group(arms=arms, seeds=list(seeds), **given)


def test_arms_may_be_of_different_versions(given: dict[str, Any]) -> None:
    other = published_version(given["user"])
    group = launch_group(arms=[Arm("before"), Arm("after", version=other)], seeds=[3], **given)
    assert {run.arm: run.version for run in Run.objects.filter(group=group)} == {
        "before": given["version"], "after": other
    }  # fmt: skip


# Going on from labels


@pytest.fixture
def source() -> FinishedRun:
    made = finished_run(engineer())
    label = made.labels[0]
    choice = "b" if label.ai_choice == "a" else "a"
    auditor = User.objects.create_user("auditor")
    record_audit(user=auditor, audit_id=uuid4(), item=label, said=Verdict("override", choice=choice))
    return made


def test_arms_with_and_without_verdicts_go_on_from_the_same_labels(source: FinishedRun) -> None:
    group = compare_verdicts(user=engineer(), source=source.run, seeds=[1, 2, 3])
    runs = list(Run.objects.filter(group=group))
    assert len(runs) == 6
    assert all(run.source == source.run and run.version == source.run.version for run in runs)
    assert {(run.arm, run.config["audits"]) for run in runs} == {
        ("AI labels only", False), ("with people's verdicts", True)
    }  # fmt: skip
    assert [stage.slug for stage in runs[0].stages.all()] == ["reward", "rl", "evaluate"]
    assert list(runs[0].prompt_sets.all()) == list(source.run.prompt_sets.all())


def test_without_an_override_there_is_nothing_to_compare() -> None:
    with pytest.raises(LaunchRefused, match="both arms would learn the same"):
        compare_verdicts(user=engineer(), source=finished_run(engineer()).run, seeds=[1])


def test_only_what_is_done_anew_can_be_changed(source: FinishedRun) -> None:
    run = continue_run(user=engineer(), source=source.run, seed=1, overrides={"method": "dpo"})
    assert [stage.slug for stage in run.stages.all()] == ["dpo", "evaluate"]
    with pytest.raises(LaunchRefused, match="revise is Run"):
        continue_run(user=engineer(), source=source.run, seed=1, overrides={"revise": {"rounds": 1}})
    with pytest.raises(LaunchRefused, match="Go on from that one"):
        continue_run(user=engineer(), source=run, seed=2)
    source.run.stages.filter(slug="label").update(state="failed")
    with pytest.raises(LaunchRefused, match="has not done the stage label"):
        continue_run(user=engineer(), source=source.run, seed=2)


@pytest.mark.parametrize(
    ("rl", "field"),
    [({"algorithm": "ppo"}, "sharding"), ({"prompts_per_step": 3, "generations": 3}, "rl.prompts_per_step")],
)
def test_what_gpus_cannot_share_is_refused_before_a_reward_model_is_trained(
    source: FinishedRun, rl: dict[str, Any], field: str
) -> None:
    source.run.config |= {"processes": 2, "sharding": "fsdp2"}
    with pytest.raises(LaunchRefused) as refused:
        continue_run(user=engineer(), source=source.run, seed=1, overrides={"rl": rl})
    assert refused.value.field == field
    assert not Run.objects.filter(source=source.run).exists()
