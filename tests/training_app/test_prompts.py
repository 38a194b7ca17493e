"""Which prompts of a run train and which are held out: by digest, the same every time, never the same on both sides."""

from __future__ import annotations

import pytest

from tests.training_app.factories import queued_run
from tests.training_app.scenes import engineer, helpful, red_team
from training_app.configuration import effective_config
from training_app.models import PromptSet, Run
from training_app.prompts import keys_to_ids, prompts_of

pytestmark = pytest.mark.django_db

MANY = tuple(f"Tell me about the number {n}." for n in range(60))


def run_with(*sets: PromptSet) -> Run:
    run = queued_run(engineer())
    run.prompt_sets.set(sets)
    return run


def test_about_the_asked_share_is_held_out_and_nothing_is_on_both_sides() -> None:
    run = run_with(red_team(MANY), helpful(tuple(f"{text} Please." for text in MANY)))
    sides = prompts_of(run, effective_config("demo", {"heldout_fraction": 0.25}))
    assert {row["id"] for row in sides.train}.isdisjoint(row["id"] for row in sides.heldout)
    assert len(sides.train) + len(sides.heldout) == 120
    assert 15 <= len(sides.heldout) <= 45
    assert {row["kind"] for row in sides.heldout} == {"red_team", "helpful"}
    assert {row["kind"] for row in sides.red_team()} == {"red_team"}
    assert prompts_of(run, effective_config("demo", {"heldout_fraction": 0.25})) == sides
    assert set(keys_to_ids(run)) == {row["id"] for row in (*sides.train, *sides.heldout)}


def test_a_limit_leaves_prompts_on_both_sides() -> None:
    sides = prompts_of(run_with(red_team(MANY)), effective_config("demo", {"max_prompts": 16}))
    assert len(sides.train) + len(sides.heldout) == 16
    assert len(sides.train) >= 8 and len(sides.heldout) >= 1


def test_a_prompt_in_two_sets_is_taken_once_and_never_held_out_and_trained_on() -> None:
    run = run_with(red_team(MANY[:6]), red_team(MANY[3:9], slug="more"), helpful(MANY[:9]))
    sides = prompts_of(run, effective_config("demo", {"heldout_fraction": 0.5}))
    red = [row["text"] for row in (*sides.train, *sides.heldout) if row["kind"] == "red_team"]
    assert len(red) == len(set(red))
    assert {row["text"] for row in sides.train}.isdisjoint(row["text"] for row in sides.heldout)
