from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from constitutions_app.core.principles import Constitution, Principle
from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import (
    CONSTITUTION,
    comparisons,
    last_event,
    records,
    write_asking_job,
    write_script,
)
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.config import LabelParams
from training_app.core.events import EventLog
from training_app.core.feedback import judge, label
from training_app.core.principle_choice import choose_principles, principles_serving
from training_app.core.rows import Comparison
from training_app.core.stage import BAD_INPUT, FINISHED, STOPPED, run_job

ITEM = Comparison.from_row(comparisons(1)[0])
GENTLE = CONSTITUTION.principles[0]


def judged(scores: list[tuple[float, float]], template: str = "paper") -> tuple[dict[str, Any], ScriptedBackend]:
    backend = ScriptedBackend(scores=scores)
    (found,) = judge([(ITEM, GENTLE)], backend, template)
    return found.data(LabelParams(), "float32"), backend


def test_both_orders_are_asked_and_read_as_the_responses_not_the_places() -> None:
    data, backend = judged([(-1.0, -2.0), (-3.0, -0.5)])
    ab, ba = data["orders"]
    assert (ab["order"], ab["logp_a"], ab["logp_b"]) == ("ab", -1.0, -2.0)
    assert (ba["order"], ba["logp_a"], ba["logp_b"]) == ("ba", -0.5, -3.0)  # b was shown first
    assert ab["p_a"] == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert ba["p_a"] == pytest.approx(1 / (1 + math.exp(-2.5)))
    assert data["p_a"] == pytest.approx((ab["p_a"] + ba["p_a"]) / 2)
    assert not data["same_position"]
    sent = [question.prompt for question in backend.questions]
    assert sent == [data["sent"]["ab"], data["sent"]["ba"]]
    assert sent[0].endswith(f" (A) {ITEM.response_a.strip()}\n (B) {ITEM.response_b.strip()}\nThe answer is:")
    assert sent[1].endswith(f" (A) {ITEM.response_b.strip()}\n (B) {ITEM.response_a.strip()}\nThe answer is:")
    assert data["question"] == "Which is gentler?"
    assert "Which is gentler? Options:" in sent[0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([(-1.0, -2.0), (-1.0, -2.0)], True),  # first both times
        ([(-2.0, -1.0), (-2.0, -1.0)], True),  # second both times
        ([(-1.0, -2.0), (-2.0, -1.0)], False),  # a both times
        ([(-1.0, -1.0), (-1.0, -2.0)], False),  # a tie sticks to no place
    ],
)
def test_it_sees_a_judge_that_sticks_to_a_place(scores: list[tuple[float, float]], expected: bool) -> None:
    data, _ = judged(scores)
    assert data["same_position"] is expected


def test_extreme_scores_stay_finite() -> None:
    data, _ = judged([(-5000.0, -0.0), (-0.0, -5000.0)])
    assert 0.0 <= data["p_a"] < 1e-300
    data, _ = judged([(0.0, -5000.0), (-5000.0, 0.0)])
    assert data["p_a"] == 1.0


@pytest.mark.parametrize(
    ("low", "high", "clamp", "clamped"),
    [
        (None, None, None, 0.9),
        (0.4, 0.6, [0.4, 0.6], 0.6),
        (None, 0.8, [0.0, 0.8], 0.8),
        (0.95, None, [0.95, 1.0], 0.95),
    ],
)
def test_the_clamp_is_an_option_and_never_touches_what_was_measured(
    low: float | None, high: float | None, clamp: list[float] | None, clamped: float
) -> None:
    logit = math.log(9)
    backend = ScriptedBackend(scores=[(logit, 0.0), (0.0, logit)])
    (found,) = judge([(ITEM, GENTLE)], backend, "paper")
    data = found.data(LabelParams(clamp_low=low, clamp_high=high), "float32")
    assert data["p_a"] == pytest.approx(0.9)
    assert (data["clamp"], data["p_a_clamped"]) == (clamp, pytest.approx(clamped))


def test_every_label_cites_the_principle_that_was_drawn_for_it(tmp_path: Path) -> None:
    items = [Comparison.from_row(row) for row in comparisons(6)]
    backend = ScriptedBackend(scores=[(-1.0, -2.0)] * 24)
    with EventLog(tmp_path) as events:
        params = LabelParams(principles_per_comparison=2)
        label(items, CONSTITUTION, backend, params, events, lambda: False, seed=3)
    principles = principles_serving(CONSTITUTION, "label")
    expected = {
        f"{item.id}/{principle.id}" for item in items for principle in choose_principles(principles, 3, item.id, 2)
    }
    assert set(records(tmp_path, "label")) == expected
    assert last_event(tmp_path)["summary"] == {
        "labels": 12, "not_labelled_identical": 0, "p_a_mean": 0.5, "same_position": 1.0, "first_position": 1.0,
    }  # fmt: skip


def test_equal_responses_are_not_labelled_and_that_is_said(tmp_path: Path) -> None:
    same = comparisons(3)
    same[0]["response_b"] = same[0]["response_a"]
    same[1]["identical"] = True
    backend = ScriptedBackend(scores=[(-1.0, -2.0)] * 2)
    with EventLog(tmp_path) as events:
        items = [Comparison.from_row(row) for row in same]
        label(items, CONSTITUTION, backend, LabelParams(), events, lambda: False, seed=3)
    assert [data["comparison_id"] for data in records(tmp_path, "label").values()] == ["red_team-02"]
    assert last_event(tmp_path)["summary"]["not_labelled_identical"] == 2


@pytest.mark.parametrize("template", ["paper", "principle_last", "chat"])
def test_a_real_judge_labels_and_a_restart_repeats_nothing(tmp_path: Path, template: str) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    params = {"template": template, "batch_size": 2}
    whole = write_asking_job(tmp_path / "whole", "label", model, {"comparisons": comparisons(5)}, params)
    parts = write_asking_job(tmp_path / "parts", "label", model, {"comparisons": comparisons(5)}, params)
    answers = iter([False, True])
    assert run_job(parts, lambda: next(answers)) == STOPPED
    assert run_job(parts, lambda: False) == run_job(whole, lambda: False) == FINISHED
    assert records(tmp_path / "parts", "label") == records(tmp_path / "whole", "label")
    for data in records(tmp_path / "whole", "label").values():
        assert data["template"] == template
        assert 0 < data["p_a"] < 1
        for order in data["orders"]:
            assert order["logp_a"] < 0
            assert order["p_a"] == pytest.approx(1 / (1 + math.exp(order["logp_b"] - order["logp_a"])))


@pytest.mark.parametrize(
    ("params", "constitution", "sentence"),
    [
        ({"clamp_low": 0.6, "clamp_high": 0.4}, CONSTITUTION, "clamp_low (0.6) is above clamp_high (0.4)."),
        ({"template": "chat"}, CONSTITUTION, "The judge has no chat template."),
        (
            {},
            Constitution("c", principles=(Principle("p", "P", "t", stages=("revise",)),)),
            "No enabled principle serves the stage label; enable one.",
        ),
    ],
)
def test_what_cannot_be_labelled_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    params: dict[str, Any],
    constitution: Constitution,
    sentence: str,
) -> None:
    model = build_tiny_model(tmp_path / "tiny", chat_template=False)
    rows = {"comparisons": comparisons(1)}
    file = write_asking_job(tmp_path / "out", "label", model, rows, params, constitution=constitution)
    assert run_job(file, lambda: False) == BAD_INPUT
    assert capsys.readouterr().err.startswith(sentence)


def test_human_comparisons_are_judged_beside_the_sampled_ones(tmp_path: Path) -> None:
    script = write_script(tmp_path / "script.json", scores=[(-1.0, -2.0)] * 40)
    human = [{"id": "hh:one", "prompt": "Why?", "response_a": "Because.", "response_b": "No."}]
    rows = {"comparisons": comparisons(2), "human": human}
    file = write_asking_job(tmp_path / "out", "label", script, rows, backend="scripted")
    assert run_job(file, lambda: False) == FINISHED
    judged = {data["comparison_id"] for data in records(tmp_path / "out", "label").values()}
    assert judged == {"hh:one", *(row["prompt_id"] for row in rows["comparisons"])}
