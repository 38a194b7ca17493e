from __future__ import annotations

from collections import Counter

import pytest

from constitutions_app.core.principles import Constitution, Principle
from tests.training_app.core.asking_jobs import CONSTITUTION
from training_app.core.errors import BadInput
from training_app.core.principle_choice import (
    choose_principle,
    choose_principles,
    principles_by_round,
    principles_serving,
)


def test_only_enabled_principles_of_the_stage_are_drawn() -> None:
    assert [principle.id for principle in principles_serving(CONSTITUTION, "revise")] == ["gentle", "brief"]
    assert [principle.id for principle in principles_serving(CONSTITUTION, "label")] == [
        "gentle",
        "brief",
        "label-only",
    ]


def test_without_any_it_says_what_to_do() -> None:
    empty = Constitution("c", principles=(Principle("p", "P", "t", enabled=False), Principle("q", "Q", "t", weight=0)))
    with pytest.raises(BadInput, match=r"No enabled principle serves the stage revise; enable one\."):
        principles_serving(empty, "revise")


def test_the_draw_depends_on_seed_item_and_round_alone() -> None:
    principles = principles_serving(CONSTITUTION, "label")

    def draw(item: str, round_number: int, seed: int = 1) -> str:
        return choose_principle(principles, seed, item, round_number).id

    drawn = {(item, step): draw(item, step) for item in map(str, range(40)) for step in (1, 2)}
    again = {(item, step): draw(item, step) for step in (2, 1) for item in map(str, reversed(range(40)))}
    assert drawn == again
    assert any(drawn[item, 1] != drawn[item, 2] for item, _ in drawn)
    assert any(drawn[item, 1] != draw(item, 1, seed=2) for item, _ in drawn)


def test_it_draws_in_proportion_to_the_weights() -> None:
    principles = principles_serving(CONSTITUTION, "revise")
    counts = Counter(choose_principle(principles, 3, str(item), 1).id for item in range(3000))
    assert counts["brief"] / 3000 == pytest.approx(2 / 3, abs=0.03)


def test_several_principles_of_one_item_are_different() -> None:
    principles = principles_serving(CONSTITUTION, "label")
    assert {principle.id for principle in choose_principles(principles, 1, "x", 9)} == {"gentle", "brief", "label-only"}
    assert len({principle.id for principle in choose_principles(principles, 1, "x", 2)}) == 2


def test_without_replacement_every_principle_is_drawn_before_one_comes_again() -> None:
    principles = principles_serving(CONSTITUTION, "label")
    for item in map(str, range(20)):
        drawn = principles_by_round(principles, 5, item, 7, "without_replacement")
        ids = [principle.id for principle in drawn]
        assert len(ids) == 7
        assert len(set(ids[:3])) == len(set(ids[3:6])) == 3
        assert drawn == principles_by_round(principles, 5, item, 7, "without_replacement")
    firsts = Counter(principles_by_round(principles, 5, str(n), 1, "without_replacement")[0].id for n in range(2000))
    assert firsts["brief"] / 2000 == pytest.approx(0.5, abs=0.04)


def test_in_order_is_the_constitution_s_order_and_each_round_is_the_paper_s_draw() -> None:
    principles = principles_serving(CONSTITUTION, "label")
    assert principles_by_round(principles, 5, "x", 1, "in_order") == principles
    assert principles_by_round(principles, 5, "x", 4, "each_round") == tuple(
        choose_principle(principles, 5, "x", number) for number in (1, 2, 3, 4)
    )
