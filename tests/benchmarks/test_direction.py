"""What the measurement of direction is made of: texts that differ where they should, prompts that can be loaded."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest
import yaml
from django.contrib.auth.models import User

from benchmarks.direction import (
    EXPECTED,
    constitutions,
    options,
    starter_prompts,
    warm_in_a_few_other_words,
    warm_in_other_words,
)
from constitutions_app.core import principles as core
from constitutions_app.starter_material import FOLDER
from training_app.actions import load_prompt_set
from training_app.configuration import effective_config
from training_app.core.datasets import split_by_prompt


@pytest.fixture
def warm() -> core.Principle:
    habits = core.from_dict(yaml.safe_load((FOLDER / "countable_habits.yaml").read_text(encoding="utf-8")))
    (found,) = (one for one in habits.principles if one.id == "warm-thanks")
    return found


def test_the_placebo_has_other_words_in_every_text_a_model_is_sent_and_nothing_else(warm: core.Principle) -> None:
    other = warm_in_other_words(warm)
    texts = ("text", "critique_request", "revision_request", "comparison_question")
    assert all(getattr(warm, name) != getattr(other, name) for name in texts)
    assert replace(other, **{name: getattr(warm, name) for name in texts}) == warm


def test_the_lighter_placebo_has_four_other_words_in_what_a_critic_and_a_reviser_are_sent(warm: core.Principle) -> None:
    other, changed = warm_in_a_few_other_words(warm), 0
    for name in ("critique_request", "revision_request"):
        before, after = getattr(warm, name).split(), getattr(other, name).split()
        assert len(before) == len(after)
        changed += sum(ours != theirs for ours, theirs in zip(before, after, strict=True))
        other = replace(other, **{name: getattr(warm, name)})
    assert changed == 4 and other == warm


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


@pytest.mark.django_db
def test_arms_are_of_one_principle_each_and_made_once(ada: User) -> None:
    made = constitutions(ada, list(EXPECTED))
    assert {arm: [one.key for one in version.principles.all()] for arm, version in made.items()} == {
        "warm": ["warm-thanks"], "warm in other words": ["warm-thanks"], "warm in a few other words": ["warm-thanks"],
        "professional": ["names-a-professional"],
    }  # fmt: skip
    assert len({version.digest for version in made.values()}) == 4
    assert constitutions(ada, ["warm"]) == {"warm": made["warm"]}


@pytest.mark.django_db
def test_the_starter_prompts_leave_64_to_be_held_out(ada: User) -> None:
    made = load_prompt_set(user=ada, content=starter_prompts(), kind="red_team", slug="all", name="All")
    rows = [{"text": prompt.text} for prompt in made.prompts.all()]
    trained, heldout = split_by_prompt(rows, 0.5)
    assert len(heldout) >= 64 and len(trained) >= 60


def test_the_options_are_ones_a_run_has() -> None:
    said = argparse.Namespace(epochs=2.0, learning_rate=5e-5, without_critique=True)
    config = effective_config("demo", options(said))
    assert config.stages == ("generate", "revise", "sft", "evaluate")
    assert (config.revise.rounds, config.revise.critique, config.sft.epochs) == (1, False, 2.0)
