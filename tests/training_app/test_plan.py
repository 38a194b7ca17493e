from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from training_app.core.config import PRESETS, RlParams
from training_app.plan import plan_of


def reads(method: str, *, comparisons: bool = False, **rl: Any) -> dict[str, str]:
    config = replace(PRESETS["demo"], method=method, rl=RlParams(**rl))
    return {stage.slug: stage.reads for stage in plan_of(asdict(config), comparisons=comparisons)}


def test_every_stage_says_what_it_reads() -> None:
    assert reads("rl", comparisons=True) == {
        "generate": "base model, prompts",
        "revise": "constitution, Generate",
        "sft": "base model, Generate, Revise",
        "sample": "red-team prompts, SL-CAI",
        "label": "constitution, judge, Sample",
        "reward": "human comparisons, SL-CAI, Label",
        "rl": "prompts, SL-CAI, Reward model",
        "evaluate": "base model, judge, held-out prompts, SL-CAI, Reward model, RL-CAI",
    }


@pytest.mark.parametrize("method", ["rl", "dpo", "both", "sft_only"])
@pytest.mark.parametrize("reward", ["model", "judge"])
def test_no_stage_reads_one_that_does_not_come_before_it(method: str, reward: str) -> None:
    config = asdict(replace(PRESETS["demo"], method=method, rl=RlParams(reward=reward)))
    seen: set[str] = set()
    for stage in plan_of(config):
        assert seen.issuperset(stage.stages), stage
        seen.add(stage.slug)


def test_what_cannot_be_read_counts_as_the_papers_way() -> None:
    assert [stage.slug for stage in plan_of({"rl": None, "method": None})][-2:] == ["rl", "evaluate"]
