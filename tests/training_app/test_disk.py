"""How much room runs take on the disk, and launches that are refused for lack of it."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings

from tests.training_app.scenes import engineer, launched
from training_app import disk
from training_app.actions import launch_group
from training_app.arms import OFFERED
from training_app.core.config import PRESETS
from training_app.disk import Needed, free_bytes, needed_by, room, together
from training_app.models import PromptSet, Run, RunGroup, RunStage
from training_app.refusals import LaunchRefused

Usage = namedtuple("Usage", "total used free")
PROMPTS = [("red_team", 30), ("helpful", 10)]
SL_ONLY, ALL = ("sft", "evaluate"), ("sft", "label", "reward", "rl", "evaluate")


@pytest.fixture(autouse=True)
def models(tmp_path: Path, settings: LazySettings) -> None:
    settings.MODELS_ROOT = tmp_path / "models"


def has_free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("training_app.disk.shutil.disk_usage", lambda folder: Usage(2**50, 0, count))


def demo(**changes: dict[str, int]) -> dict[str, Any]:
    """The demo preset with options of its stages changed."""
    plain = asdict(PRESETS["demo"])
    return plain | {slug: plain[slug] | options for slug, options in changes.items()}


def test_a_run_needs_its_checkpoints_and_for_a_while_the_saves_to_resume_from() -> None:
    never, often = {"save_steps": 1000}, {"save_steps": 1}
    assert needed_by(demo(sft=never), SL_ONLY, parameters=10, sets=PROMPTS) == Needed(kept=40, most=40)
    assert needed_by(demo(sft=often), SL_ONLY, parameters=10, sets=PROMPTS) == Needed(kept=40, most=360)
    assert needed_by(demo(sft=often | {"lora_rank": 8}), SL_ONLY, parameters=10, sets=PROMPTS).most == 40
    # RL of eight steps saves once, after two checkpoints were published: 4 + 4, then 4 with one state of 12
    assert needed_by(demo(sft=never, reward=never), ALL, parameters=10, sets=PROMPTS) == Needed(kept=120, most=240)
    compared = [*PROMPTS, ("comparisons", 4000)]  # the reward model saves as it learns those, with one checkpoint there
    assert needed_by(demo(sft=never, rl=never), ALL, parameters=10, sets=compared) == Needed(kept=120, most=400)
    assert needed_by(demo(), ("generate", "evaluate"), parameters=10, sets=PROMPTS) == Needed(0, 0)
    assert needed_by(demo(), ALL, parameters=None, sets=PROMPTS) == Needed(0, 0)


def test_runs_one_after_another_keep_everything_but_train_one_at_a_time() -> None:
    assert together([Needed(10, 30), Needed(10, 50)]) == Needed(20, 60)
    assert together([]) == Needed(0, 0)


@pytest.mark.django_db
def test_runs_that_have_not_ended_are_counted_with_what_they_have_yet_to_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_free(monkeypatch, 10**9)
    run = launched()
    a_checkpoint = disk.needed_by_run(run).kept // 3
    assert a_checkpoint > 0
    assert room() == disk.Room(free=10**9, waiting=3 * a_checkpoint, others=1)
    assert room(but=[run.pk]) == disk.Room(free=10**9, waiting=0, others=0)
    RunStage.objects.filter(run=run, slug="sft").update(state="succeeded")
    assert room() == disk.Room(free=10**9, waiting=2 * a_checkpoint, others=1)
    Run.objects.update(base_model={"name": "gone", "path": "gone"})
    assert room() == disk.Room(free=10**9, waiting=0, others=1)
    Run.objects.update(state="succeeded", finished_at=run.created_at)
    assert room() == disk.Room(free=10**9, waiting=0, others=0)


@pytest.mark.django_db
def test_a_launch_is_refused_where_it_does_not_fit_beside_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = disk.needed_by_run(first := launched())
    sets = list(PromptSet.objects.all())
    has_free(monkeypatch, needed.most + needed.kept)
    second = launched(first.version, prompt_sets=sets, run_id=uuid4())
    with pytest.raises(LaunchRefused, match="2 runs before it will take") as caught:
        launched(first.version, prompt_sets=sets)
    assert caught.value.field == "disk"
    assert set(Run.objects.all()) == {first, second}
    again = launched(first.version, prompt_sets=sets, run_id=second.pk)
    assert again == second, "the same launch sent again is the run already there"


@pytest.mark.django_db
def test_runs_that_are_launched_together_must_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    first = launched()
    needed, arms = disk.needed_by_run(first), next(iter(OFFERED.values()))[1]
    sets = list(PromptSet.objects.all())
    Run.objects.filter(pk=first.pk).update(state="cancelled", finished_at=first.created_at)

    def launch() -> RunGroup:
        return launch_group(
            user=engineer(), arms=arms, seeds=[1, 2], version=first.version, base_model=first.base_model["name"],
            prompt_sets=sets, preset="demo",
        )  # fmt: skip

    has_free(monkeypatch, needed.most)
    with pytest.raises(LaunchRefused, match="too little room"):
        launch()
    assert list(Run.objects.all()) == [first] and not RunGroup.objects.exists()
    has_free(monkeypatch, needed.most + 2 * len(arms) * needed.kept)
    assert launch().runs.count() == 2 * len(arms)


@pytest.mark.django_db
def test_nothing_is_claimed_where_artifacts_go_to_a_storage(settings: LazySettings, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "artifacts": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "bucket")},
        }
    }
    assert room() is None


def test_free_room_is_told_before_the_folder_is_there(settings: LazySettings, tmp_path: Path) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "not" / "yet"
    assert free_bytes() > 0
