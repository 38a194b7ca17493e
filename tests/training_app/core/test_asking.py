"""Every way of asking a judge, by the text it is sent and the label that comes of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import CONSTITUTION, comparisons, last_event, records, write_asking_job
from training_app.core.asking import Asking, Manner, worked_comparisons
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.config import LabelParams
from training_app.core.events import EventLog
from training_app.core.feedback import judge_all, label
from training_app.core.principle_choice import principles_serving
from training_app.core.rows import Comparison, Message
from training_app.core.stage import FINISHED, STOPPED, run_job

PRINCIPLES = principles_serving(CONSTITUTION, "label")
ITEM = Comparison.from_row(comparisons(1)[0])
EVEN = (-1.0, -1.0)


def labelled(
    out: Path, scores: list[tuple[float, float]], outputs: tuple[str, ...] = (), *, count: int = 1, **params: Any
) -> tuple[dict[str, dict[str, Any]], ScriptedBackend]:
    items = [Comparison.from_row(row) for row in comparisons(count)]
    backend = ScriptedBackend(outputs, scores)
    with EventLog(out) as events:
        label(items, CONSTITUTION, backend, LabelParams(**params), events, lambda: False, seed=3)
    return records(out, "label"), backend


def test_every_principle_can_judge_every_comparison(tmp_path: Path) -> None:
    found, _ = labelled(tmp_path, [EVEN] * 12, count=2, ask="every")
    items = [Comparison.from_row(row).id for row in comparisons(2)]
    assert set(found) == {f"{item}/{principle.id}" for item in items for principle in PRINCIPLES}


def test_all_principles_in_one_prompt_make_one_label_that_names_them(tmp_path: Path) -> None:
    found, backend = labelled(tmp_path, [EVEN] * 2, ask="together")
    (data,) = found.values()
    assert list(found) == [f"{ITEM.id}/*"]
    assert (data["principle_id"], data["principles"]) == (None, [principle.id for principle in PRINCIPLES])
    assert data["manner"] == "all principles at once"
    for line in ("Weigh all of these questions:", "- Which is gentler?", "- Which of the two responses keeps better"):
        assert line in backend.questions[0].prompt
        assert line in data["question"]


def test_neither_is_a_third_answer_that_is_kept_and_changes_no_p_a(tmp_path: Path) -> None:
    # ab: (A), (B); ba: (A), (B); then (A), (C) of each
    found, backend = labelled(tmp_path, [(-1.0, -2.0), (-1.5, -1.0), (-1.0, -0.5), (-1.5, -3.0)], neither=True)
    (data,) = found.values()
    p_ab, p_ba = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-0.5))
    assert data["p_a"] == pytest.approx((p_ab + p_ba) / 2)
    assert [vote["logp_neither"] for vote in data["votes"]] == [-0.5, -3.0]
    ab = math.exp(-0.5) / (math.exp(-0.5) + math.exp(-1) + math.exp(-2))
    ba = math.exp(-3) / (math.exp(-3) + math.exp(-1.5) + math.exp(-1))
    assert data["p_neither"] == pytest.approx((ab + ba) / 2)
    assert [question.options for question in backend.questions] == [(" (A)", " (B)")] * 2 + [(" (A)", " (C)")] * 2
    assert "\n (C) Neither is better, or this does not apply here.\nThe answer is:" in data["sent"]["ab"]
    assert last_event(tmp_path)["summary"]["not_relevant"] == 0


def test_worked_comparisons_stand_in_front_and_are_the_same_for_every_item(tmp_path: Path) -> None:
    found, backend = labelled(tmp_path, [EVEN] * 6, count=3, exemplars=4)
    beginnings = {question.prompt.partition("\n\nHuman: Tell me")[0] for question in backend.questions}
    (shown,) = beginnings
    assert shown.count("The answer is: (") == 1  # the example whose revision changes nothing compares nothing
    assert "(A) Hello! What is it?\n (B) Go away.\nThe answer is: (A)" in shown or (
        "(A) Go away.\n (B) Hello! What is it?\nThe answer is: (B)" in shown
    )
    assert {data["manner"] for data in found.values()} == {"1 worked"}


def test_the_better_one_of_worked_comparisons_takes_turns() -> None:
    examples = [CONSTITUTION.exemplars[0]] * 4
    answers = [one.answer for one in worked_comparisons(examples, PRINCIPLES, 7, 4)]
    assert answers in ([" (A)", " (B)"] * 2, [" (B)", " (A)"] * 2)
    assert all(one.messages == (Message("user", "Hi"),) for one in worked_comparisons(examples, PRINCIPLES, 7, 4))


def test_thoughts_come_before_the_answer_and_each_sample_is_kept(tmp_path: Path) -> None:
    thoughts = ("One is kind.", "Hm.\n\nHuman: (A)", "Both.", "B is.")
    scores = [(math.log(p), math.log(1 - p)) for p in (0.9, 0.7, 0.4, 0.2)]
    found, backend = labelled(tmp_path, scores, thoughts, cot_samples=2)
    (data,) = found.values()
    assert [request.prompt[-26:] for request in backend.requests] == ["\nLet's think step by step:"] * 4
    assert len({request.seed for request in backend.requests}) == 4
    sent = [question.prompt for question in backend.questions]
    assert sent[0].endswith("Let's think step by step: One is kind.\n\nSo the answer is:")
    # samples are drawn order by order: ab, ba, then ab, ba again
    assert [(vote["order"], vote["thoughts"]) for vote in data["votes"]] == [
        ("ab", "One is kind."), ("ab", "Both."), ("ba", "Hm.\n\nHuman: (A)"), ("ba", "B is."),
    ]  # fmt: skip
    assert "\n\nHuman: (A)\n\nSo" not in sent[2] and "\n\n> Human: (A)\n\nSo" in sent[2]  # thoughts open no turn
    assert data["p_a"] == pytest.approx(((0.9 + 0.7) / 2 + (0.6 + 0.8) / 2) / 2)
    assert (data["clamp"], data["p_a_clamped"]) == ([0.4, 0.6], 0.6)
    assert data["orders"][0]["p_a"] == pytest.approx(0.8)
    assert data["manner"] == "2 thoughts of 256 tokens"


@pytest.mark.parametrize(
    ("params", "clamp"),
    [
        ({}, None),
        ({"cot_samples": 1}, (0.4, 0.6)),
        ({"cot_samples": 1, "clamp_low": 0.0, "clamp_high": 1.0}, (0.0, 1.0)),
        ({"clamp_low": 0.2, "clamp_high": 0.8}, (0.2, 0.8)),
    ],
)
def test_the_clamp_is_the_paper_s_with_thoughts_and_none_without(
    params: dict[str, Any], clamp: tuple[float, float] | None
) -> None:
    assert LabelParams(**params).clamp == clamp


def test_the_plain_question_is_what_it_was() -> None:
    backend = ScriptedBackend(scores=[EVEN] * 2)
    (found,) = judge_all([Asking(ITEM, PRINCIPLES[:1])], backend, Manner(), 0)
    assert found.data(LabelParams(), "float32")["manner"] == ""
    assert backend.questions[0].prompt.startswith(
        "Consider the following conversation between a human and an assistant:"
    )


@pytest.mark.parametrize("template", ["paper", "chat"])
def test_a_real_judge_thinks_and_a_restart_repeats_nothing(tmp_path: Path, template: str) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    params = {"template": template, "batch_size": 1, "exemplars": 1, "neither": True, "cot_samples": 2, "cot_tokens": 6}
    whole = write_asking_job(tmp_path / "whole", "label", model, {"comparisons": comparisons(2)}, params)
    parts = write_asking_job(tmp_path / "parts", "label", model, {"comparisons": comparisons(2)}, params)
    answers = iter([False, True])
    assert run_job(parts, lambda: next(answers)) == STOPPED
    assert run_job(parts, lambda: False) == run_job(whole, lambda: False) == FINISHED
    found = records(tmp_path / "whole", "label")
    assert records(tmp_path / "parts", "label") == found
    for data in found.values():
        assert [vote["order"] for vote in data["votes"]] == ["ab", "ab", "ba", "ba"]
        assert 0 < data["p_neither"] < 1
        assert data["clamp"] == [0.4, 0.6]
