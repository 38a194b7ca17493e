from __future__ import annotations

import json
import struct
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection

from constitutions_app.models import PublishingRules, Version
from tests.training_app import factories, scenes
from training_app import launch_checks
from training_app.core.config import PRESETS
from training_app.disk import Needed, Room
from training_app.launch_checks import against_disk, against_sharing, against_size, against_version, room_for_a_stage
from training_app.prompt_sets import is_as_loaded
from training_app.usage import GIB

STAGES = ("generate", "sft", "rl")


@pytest.fixture
def ada(db: None) -> User:
    return factories.person("ada", name="Ada Osei")


def model_of(folder: Path, weights: int) -> Path:
    """A folder whose safetensors header speaks of so many weights; none of them are there."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [weights], "data_offsets": [0, 2 * weights]}}).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


def next_version(author: User, changed: str) -> Version:
    """A version that goes on from the newest one and gives one principle another meaning."""
    old = factories.published_version(author)
    new = factories.published_version(author)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE constitutions_app_principleversion SET since = 2 WHERE version_id = %s AND key = %s",
            [new.pk, changed],
        )
        cursor.execute("SET session_replication_role = origin")
    return old


def test_older_words_can_be_meant_on_purpose(ada: User) -> None:
    old = next_version(ada, "privacy")
    [objection] = against_version(old)
    assert objection.may_be_accepted
    assert "in v2 1 principle came, went or means something else" in objection.words
    assert list(against_version(old.constitution.versions.get(number=2))) == []


def test_a_version_that_only_another_line_goes_on_from_is_no_older_one(ada: User) -> None:
    old = next_version(ada, "privacy")
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE constitutions_app_version SET parent_id = NULL WHERE number = 2")
        cursor.execute("SET session_replication_role = origin")
    assert list(against_version(old)) == []


def test_a_branch_published_last_does_not_hide_what_changed_on_the_main_one(ada: User) -> None:
    old = next_version(ada, "privacy")
    side = factories.published_version(ada)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE constitutions_app_version SET branch = 'side', parent_id = %s WHERE id = %s", [old.pk, side.pk]
        )
        cursor.execute("SET session_replication_role = origin")
    [objection] = against_version(old)
    assert "in v2 1 principle" in objection.words


def test_approvals_are_asked_by_the_rules_of_today(ada: User) -> None:
    version = factories.published_version(ada)
    assert list(against_version(version)) == []
    PublishingRules.objects.create(constitution=version.constitution, required_approvals=1, updated_by=ada)
    [objection] = against_version(version)
    assert "0 of the 1 approval" in objection.words
    assert not objection.may_be_accepted


def test_a_model_that_cannot_be_trained_in_the_memory_there_is_is_refused(
    tmp_path: Path, settings: LazySettings
) -> None:
    folder, config = model_of(tmp_path / "big", 10**9), asdict(PRESETS["demo"])
    settings.STAGE_MEMORY_GIB = 16
    [objection] = against_size(folder, "big", config, STAGES)
    assert objection.field == "base_model"
    assert "1,000,000,000 weights its training holds at least 16.8 GiB, and a worker has 16.0 GiB" in objection.words
    assert list(against_size(folder, "big", config, ("generate", "sft"))) == []
    shared = config | {"sharding": "deepspeed", "processes": 4}
    assert list(against_size(folder, "big", shared, STAGES)) == []  # 6 + 12 / 4 bytes a weight
    settings.STAGE_MEMORY_GIB = 14
    assert list(against_size(folder, "big", config, ("generate", "sft")))
    adapters = asdict(replace(PRESETS["demo"], sft=replace(PRESETS["demo"].sft, lora_rank=8)))
    assert list(against_size(folder, "big", adapters, ("generate", "sft"))) == []


def test_too_little_room_is_said_with_what_is_needed_what_is_free_and_who_comes_first() -> None:
    needed = Needed(kept=2 * GIB, most=5 * GIB)
    assert list(against_disk(needed, None)) == []
    assert list(against_disk(needed, Room(free=6 * GIB, waiting=GIB, others=2))) == []
    [objection] = against_disk(needed, Room(free=6 * GIB, waiting=GIB + 1, others=2))
    assert (objection.field, objection.may_be_accepted) == ("disk", False)
    for part in ("at most 5.0 GiB", "2.0 GiB of them", "6.0 GiB are free", "2 runs before it will take 1.0 GiB"):
        assert part in objection.words
    assert "prune_weights" in objection.words
    [alone] = against_disk(needed, Room(free=4 * GIB, waiting=0, others=0))
    assert "before it" not in alone.words


def test_a_folder_whose_weights_cannot_be_counted_is_no_objection(tmp_path: Path, settings: LazySettings) -> None:
    settings.STAGE_MEMORY_GIB = 1
    (tmp_path / "model.safetensors").write_bytes(b"none")
    assert list(against_size(tmp_path, "odd", {}, STAGES)) == []


@pytest.mark.parametrize(
    ("gpus", "config", "gib"),
    [([80, 40], {}, 80), ([80, 40], {"sharding": "fsdp2", "processes": 2}, 120), ([40], {"sharding": "fsdp2"}, 40)],
)
def test_gpus_add_up_only_where_they_share_the_weights(
    monkeypatch: pytest.MonkeyPatch, gpus: list[int], config: dict[str, object], gib: int
) -> None:
    monkeypatch.setattr(launch_checks, "gpu_total", lambda: [one * GIB for one in gpus])
    assert room_for_a_stage(config)[0] == gib * GIB


@pytest.mark.parametrize(
    ("run", "rl", "field"),
    [
        ({"sharding": "fsdp2", "processes": 2}, {"algorithm": "ppo"}, "sharding"),
        ({"sharding": "deepspeed", "processes": 2}, {"algorithm": "ppo"}, "sharding"),
        ({"sharding": "fsdp2", "processes": 2}, {"algorithm": "grpo"}, ""),
        ({"sharding": "fsdp2"}, {"algorithm": "ppo"}, ""),  # one, unless its worker is told otherwise
        ({"sharding": "fsdp2", "processes": 1}, {"algorithm": "ppo"}, ""),
        ({"processes": 5}, {}, "rl.prompts_per_step"),
        ({"processes": 4}, {}, ""),
    ],
)
def test_what_gpus_cannot_share_is_refused_before_hours_of_other_stages(
    run: dict[str, object], rl: dict[str, object], field: str
) -> None:
    config = asdict(PRESETS["demo"]) | run  # twelve answers a step
    config["rl"] |= rl
    assert [one.field for one in against_sharing(config, STAGES)] == ([field] if field else [])
    assert list(against_sharing(config, ("generate", "sft"))) == []


def test_prompts_changed_behind_the_app_are_noticed(db: None) -> None:
    sets = (scenes.red_team(), scenes.helpful(), scenes.comparisons(), factories.prompt_set("red_team", ["One?"]))
    assert all(map(is_as_loaded, sets))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE training_app_prompt SET text = text || ' ' WHERE position = 1")
        cursor.execute("UPDATE training_app_comparison SET human_choice = 'a'")
        cursor.execute("DELETE FROM training_app_prompt WHERE position = 2")
        cursor.execute("SET session_replication_role = origin")
    assert not any(map(is_as_loaded, sets))
