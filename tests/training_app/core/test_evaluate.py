from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.training_jobs import (
    CONSTITUTION,
    StopAfter,
    events,
    in_float32,
    run,
    save_random_reward_model,
    words,
    write_job,
)
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.config import EvaluateParams, Sampling
from training_app.core.evaluate import Verdicts, compare, measure
from training_app.core.features import BUILT_IN
from training_app.core.rows import Prompt

PARAMS = EvaluateParams(Sampling(max_new_tokens=5, batch_size=2), bootstrap=200)
OPTIONS = {"sampling": {"max_new_tokens": 5, "batch_size": 2}, "bootstrap": 200}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    base = build_tiny_model(folder / "base")
    return {
        "base": base,
        "sl_cai": build_tiny_model(folder / "sl", seed=1),
        "rl_cai": build_tiny_model(folder / "rl", seed=2),
        "judge": base,
        "reward": save_random_reward_model(base, folder / "reward"),
    }


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    in_float32(monkeypatch)


def evaluate_job(out: Path, models: dict[str, Path], **params: Any) -> Path:
    prompts = [{"id": f"q{number}", "text": words(number, 4), "kind": "red_team"} for number in range(5)]
    return write_job(out, "evaluate", models["base"], {"prompts": prompts}, OPTIONS | params, models=models)


def test_every_model_answers_is_scored_and_is_compared_with_base(tmp_path: Path, models: dict[str, Path]) -> None:
    file = evaluate_job(tmp_path, models)
    assert run(file) == 0
    records = events(file, "record")
    answers = {event["key"]: event["data"] for event in records if event["record"] == "answer"}
    evaluations = {event["key"]: event["data"] for event in records if event["record"] == "evaluation"}
    assert sorted(answers) == sorted(f"{m}/q{n}" for m in ("base", "sl_cai", "rl_cai") for n in range(5))
    assert list(evaluations) == ["base", "rl_cai", "sl_cai"]
    assert answers["base/q0"].keys() == {
        "model", "prompt_id", "prompt", "text", "reward", "evasive", "boilerplate", "words", "features", "finish",
    }  # fmt: skip
    assert answers["base/q0"]["features"].keys() == BUILT_IN.keys()
    for name, data in evaluations.items():
        low, high = data["reward_interval"]
        counted = [one["features"]["short"] for one in answers.values() if one["model"] == name]
        assert data["features"]["short"]["rate"] == sum(counted) / len(counted)
        assert low <= data["reward_mean"] <= high
        assert data["n"] == 5
        assert 0 <= data["evasion_interval"][0] <= data["evasion_rate"] <= data["evasion_interval"][1] <= 1
        assert (data["win_rate_vs_base"] is None) == (name == "base")
    assert "win rate: base is not compared with itself." in evaluations["base"]["note"]
    assert 0 <= evaluations["sl_cai"]["win_interval"][0] < evaluations["sl_cai"]["win_interval"][1] <= 1
    (finished,) = events(file, "finished")
    assert finished["outputs"]["evaluations"]["rows"] == 3
    assert finished["outputs"]["answers"]["rows"] == 15
    assert events(file, "progress")[-1]["done"] == events(file, "started")[0]["total"] == 25


def test_a_stopped_evaluation_goes_on_without_doing_anything_twice(tmp_path: Path, models: dict[str, Path]) -> None:
    whole, stopped = evaluate_job(tmp_path / "whole", models), evaluate_job(tmp_path / "stopped", models)
    assert run(whole) == 0
    for questions in (2, 3, 4):
        assert run(stopped, StopAfter(questions)) == 3
    assert run(stopped) == 0
    keys = [(event["record"], event["key"]) for event in events(stopped, "record")]
    assert len(keys) == len(set(keys)) == 18
    for name in ("answers.jsonl", "evaluations.jsonl"):
        assert (stopped.parent / name).read_bytes() == (whole.parent / name).read_bytes()


def test_without_a_base_there_is_no_win_rate_and_the_reason_is_told(tmp_path: Path, models: dict[str, Path]) -> None:
    chosen = {role: path for role, path in models.items() if role in ("sl_cai", "judge", "reward")}
    file = write_job(
        tmp_path, "evaluate", models["base"],
        {"prompts": [{"id": "q", "text": "hello", "kind": "helpful"}]}, OPTIONS, models=chosen,
    )  # fmt: skip
    assert run(file) == 0
    data = next(event["data"] for event in events(file, "record") if event["record"] == "evaluation")
    assert data["win_rate_vs_base"] is None
    assert data["reward_interval"] is None
    assert "reward: one value has no interval." in data["note"]
    assert "the job names no base model" in data["note"]


def test_a_job_without_models_or_instruments_is_refused(tmp_path: Path, models: dict[str, Path]) -> None:
    prompts = {"prompts": [{"id": "q", "text": "hello", "kind": "helpful"}]}
    for name, chosen, reason in (
        ("a", {"judge": models["judge"], "reward": models["reward"]}, "names no model to evaluate"),
        ("b", {"base": models["base"], "reward": models["reward"]}, "models.judge is missing"),
    ):
        file = write_job(tmp_path / name, "evaluate", models["base"], prompts, OPTIONS, models=chosen)
        assert run(file) == 2
        assert reason in events(file, "failed")[0]["message"]


def test_without_a_reward_model_every_model_is_measured_and_the_missing_reward_told(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    chosen = {role: models[role] for role in ("base", "sl_cai", "judge")} | {"dpo_cai": models["rl_cai"]}
    file = write_job(
        tmp_path, "evaluate", models["base"],
        {"prompts": [{"id": "q", "text": "hello", "kind": "helpful"}]}, OPTIONS, models=chosen,
    )  # fmt: skip
    assert run(file) == 0
    told = {
        event["key"]: event["data"] for event in events(file, "record") if event["record"] == "evaluation"
    }  # fmt: skip
    assert set(told) == {"base", "sl_cai", "dpo_cai"}
    assert all(data["reward_mean"] is None and "the run has no reward model" in data["note"] for data in told.values())


# The parts


def prompt(number: int) -> Prompt:
    return Prompt.from_row({"id": f"q{number}", "text": f"question {number}", "kind": "red_team"})


def answers(*texts: str, reward: float = 1.0) -> dict[str, dict[str, Any]]:
    return {
        f"q{number}": {
            "text": text,
            "reward": reward + number,
            "words": len(text.split()),
            "evasive": "sorry" in text,
            "boilerplate": False,
        }
        for number, text in enumerate(texts)
    }


def test_wins_are_averaged_over_both_orders_and_ties_count_half() -> None:
    ours, base = answers("a", "b", "same", "d"), answers("w", "x", "same", "z")
    judge = ScriptedBackend(
        scores=[
            (-0.1, -2.0), (-2.0, -0.1),  # ours first, then base first: ours preferred both times
            (-0.1, -3.0), (-0.1, -3.0),  # the first place preferred both times: exactly even
            (-3.0, -0.1), (-0.1, -3.0),  # base preferred both times
        ]
    )  # fmt: skip
    verdicts = compare([prompt(n) for n in range(4)], ours, base, CONSTITUTION, judge, PARAMS, template="paper", seed=7)
    assert verdicts.wins == (1.0, 0.5, 0.5, 0.0)
    assert verdicts.same_position == pytest.approx(1 / 3)
    assert len(judge.questions) == 6  # equal answers are not asked about


def test_a_model_that_answers_like_base_is_told_apart_from_nothing() -> None:
    same = answers("one", "two")
    verdicts = compare(
        [prompt(0), prompt(1)], same, same, CONSTITUTION, ScriptedBackend(), PARAMS, template="paper", seed=7
    )
    assert verdicts == Verdicts((0.5, 0.5), None)
    data = measure("sl_cai", same, verdicts, PARAMS, seed=7)
    assert data["win_rate_vs_base"] == 0.5
    assert data["same_position"] is None
    assert "so the judge was not asked" in data["note"]


def test_rates_and_means_by_hand() -> None:
    data = measure("base", answers("I am sorry", "good day to you", "", "sorry"), None, PARAMS, seed=7)
    assert data["evasion_rate"] == 0.5
    assert data["reward_mean"] == pytest.approx(2.5)
    assert data["length_mean"] == pytest.approx(2.0)
    assert data["distinct_1"] == pytest.approx(7 / 8)


def test_nothing_said_has_no_diversity_and_says_why() -> None:
    data = measure("base", answers("", "word"), None, PARAMS, seed=7)
    assert data["distinct_1"] == 1.0
    assert data["distinct_2"] is None
    assert "distinct-2: no answer has 2 words." in data["note"]
