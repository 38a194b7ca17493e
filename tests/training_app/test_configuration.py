"""The effective configuration: a preset, a person's changes, every value checked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from training_app.configuration import BadConfiguration, config_from, effective_config
from training_app.core.config import PRESETS


def test_without_changes_it_is_the_preset_and_survives_its_own_data() -> None:
    for name, preset in PRESETS.items():
        assert effective_config(name, {}) == preset == config_from(asdict(preset))


def test_changes_reach_every_level() -> None:
    config = effective_config(
        "demo", {"max_prompts": 8, "rl": {"steps": 3}, "generate": {"sampling": {"max_new_tokens": 5}}}
    )
    assert (config.max_prompts, config.rl.steps, config.rl.beta) == (8, 3, PRESETS["demo"].rl.beta)
    assert config.generate.sampling.max_new_tokens == 5
    assert config.generate.sampling.batch_size == PRESETS["demo"].generate.sampling.batch_size


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kto": {}}, "kto is not an option"),
        ({"rl": {"stepps": 1}}, "rl.stepps is not an option"),
        ({"rl": {"steps": "many"}}, "rl.steps should be int"),
        ({"rl": {"steps": 0}}, "rl.steps is out of range"),
        ({"rl": 3}, "rl should be an object"),
        ({"heldout_fraction": 0.0}, "heldout_fraction should lie between 0 and 1"),
        ({"max_prompts": 1}, "max_prompts should be at least 2"),
        ({"label": {"clamp_low": 0.4}}, "clamp_low and clamp_high go together"),
        ({"label": {"clamp_low": 0.6, "clamp_high": 0.4}}, "the low one is the smaller"),
    ],
)
def test_it_refuses_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConfiguration, match=words):
        effective_config("demo", changes)


def test_it_names_the_presets_there_are() -> None:
    with pytest.raises(BadConfiguration, match="no preset 'huge'; choose demo, small, full"):
        effective_config("huge", {})


@pytest.mark.parametrize(("stage", "method"), [("reward", "rl"), ("dpo", "dpo")])
def test_something_is_left_to_learn_from(stage: str, method: str) -> None:
    with pytest.raises(BadConfiguration, match=f"{stage}.heldout_fraction should be below 1"):
        effective_config("demo", {"method": method, stage: {"heldout_fraction": 1.0}})
    effective_config("demo", {"method": "sft_only", stage: {"heldout_fraction": 1.0}})
