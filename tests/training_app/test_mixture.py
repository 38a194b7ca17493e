"""What the reward model's loss is made of, before and after a run."""

from __future__ import annotations

from typing import Any

import pytest

from training_app.mixture import Mixture, expected_mixture, mixture_of
from training_app.models import DatasetBuild


def config(weight: float = 1.0, most: int | None = None) -> dict[str, Any]:
    return {"max_prompts": most, "reward": {"human_weight": weight}}


@pytest.mark.parametrize(
    ("sets", "said", "expected"),
    [
        ([("red_team", 30), ("comparisons", 10), ("helpful", 99)], config(), Mixture(0.75, 3.0)),
        ([("red_team", 30), ("comparisons", 10)], config(weight=3), Mixture(0.5, 3.0)),
        ([("red_team", 20), ("red_team", 10), ("comparisons", 30)], config(most=10), Mixture(0.25, 0.33)),
        ([("red_team", 5)], config(), Mixture(1.0, None)),
        ([("helpful", 5)], config(), None),
    ],
)
def test_it_says_before_a_run_what_harmlessness_will_carry(
    sets: list[tuple[str, int]], said: dict[str, Any], expected: Mixture | None
) -> None:
    assert expected_mixture(sets, said) == expected


def test_a_build_says_what_it_holds() -> None:
    rules = {"counts": {"ai": 5, "audit": 1, "human": 2}, "human_weight": 1.5}
    assert mixture_of(DatasetBuild(stage="reward", rules=rules)) == Mixture(6 / 9, 3.0)
    assert mixture_of(DatasetBuild(stage="sft", rules=rules)) is None
    assert mixture_of(DatasetBuild(stage="reward", rules={})) is None


def test_more_than_half_dominates() -> None:
    assert [Mixture(share, None).dominates for share in (0.5, 0.51)] == [False, True]
