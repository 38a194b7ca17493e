from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model, build_tiny_tokenizer
from tests.training_app.core.training_jobs import (
    CONSTITUTION,
    equal_weights,
    events,
    in_float32,
    rl_job,
    run,
    save_random_reward_model,
    write_job,
)
from training_app.core import rewards, rl, rollouts
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.base_model import load_classifier, load_tokenizer
from training_app.core.device import Device
from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.formatting import ChatFormat
from training_app.core.reward_model import Scorer
from training_app.core.rewards import Reward, score_reward
from training_app.core.rollouts import policy_rows, prompt_order, record_rollouts, split_step
from training_app.core.rows import Prompt


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def reward(tiny: Path) -> Path:
    return save_random_reward_model(tiny, tiny.parent / "reward")


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    in_float32(monkeypatch)


def rollouts_in(file: Path) -> list[dict[str, Any]]:
    """The recorded answers, without the first batch's tokens."""
    return [event for event in events(file, "record") if event["record"] == "rollout"]


def count_letters(*_: object) -> Reward:
    """Letters of the alphabet are counted: the best answer is nothing but letters."""
    return lambda ids, conversations, answers: [
        float(sum(sign.isascii() and sign.isalpha() for sign in answer)) for answer in answers
    ]


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "ppo"])
def test_a_reward_that_can_be_learnt_rises_and_its_price_in_kl_is_told(
    tmp_path: Path, tiny: Path, reward: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    monkeypatch.setattr(rewards, "open_reward", count_letters)
    monkeypatch.setattr(rollouts, "MICRO_BATCH", 16)
    file = rl_job(
        tmp_path,
        tiny,
        reward,
        algorithm=algorithm,
        steps=12,
        generations=8,
        prompts_per_step=2,
        learning_rate=2e-2,
        beta=1e-3,
        save_steps=50,
    )
    assert run(file) == 0
    told = [event["values"] for event in events(file, "metric")]
    first, last = (sum(values["reward"] for values in part) / 3 for part in (told[:3], told[-3:]))
    assert last > first + 3 * told[0]["reward_std"] / 48**0.5
    assert told[0]["kl"] == pytest.approx(0.0, abs=1e-5)
    assert told[-1]["kl"] > 0.01


def test_the_newest_rollouts_are_recorded_and_left_as_an_output(tmp_path: Path, tiny: Path, reward: Path) -> None:
    file = rl_job(tmp_path, tiny, reward)
    assert run(file) == 0
    records = rollouts_in(file)
    assert [event["key"] for event in records] == [f"{step}/{row}" for step in range(1, 5) for row in range(3)]
    assert records[0]["data"].keys() == {"step", "prompt", "text", "reward"}
    assert events(file, "finished")[0]["outputs"]["rollouts"]["rows"] == 12


def test_without_beta_there_is_no_penalty(tmp_path: Path, tiny: Path, reward: Path) -> None:
    file = rl_job(tmp_path, tiny, reward, beta=0.0, steps=1)
    assert run(file) == 0
    assert "kl" not in events(file, "metric")[0]["values"]


def test_the_penalty_is_towards_the_reference_of_the_job(tmp_path: Path, tiny: Path, reward: Path) -> None:
    import json

    other = build_tiny_model(tmp_path / "other", seed=5)
    own, far = rl_job(tmp_path / "own", tiny, reward, steps=1), rl_job(tmp_path / "far", tiny, reward, steps=1)
    job = json.loads(far.read_text())
    job["models"]["reference"] = {"path": str(other), "name": "other"}
    far.write_text(json.dumps(job))
    assert [run(own), run(far)] == [0, 0]
    near, away = (events(file, "metric")[0]["values"]["kl"] for file in (own, far))
    assert near == pytest.approx(0.0, abs=1e-5)
    assert away > 0.1
    assert not equal_weights(own.parent / "checkpoint", far.parent / "checkpoint")


def test_fewer_prompts_than_a_step_takes_are_told(tmp_path: Path, tiny: Path, reward: Path) -> None:
    file = rl_job(tmp_path, tiny, reward, prompts_per_step=50, steps=1)
    assert run(file) == 0
    assert "There are only 6 prompts: a step takes 6 of them." in events(file, "started")[0]["note"]


def test_a_reward_model_that_gives_no_number_fails_the_stage(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "broken"
    model = load_classifier(tiny, Device("CPU", "cpu", "float32"))
    with torch.no_grad():
        model.score.weight.fill_(float("nan"))
    model.save_pretrained(folder)
    load_tokenizer(tiny).save_pretrained(folder)
    file = rl_job(tmp_path / "job", tiny, folder)
    assert run(file) == 1
    (failed,) = events(file, "failed")
    assert failed["error"] == "not_finite"
    assert "reward model" in failed["message"]


def test_the_judge_can_be_the_reward_and_compares_with_the_first_answers(tmp_path: Path, tiny: Path) -> None:
    prompts = [{"id": f"q{number}", "text": f"question {number}", "kind": "red_team"} for number in range(3)]
    first = [{"prompt_id": f"q{n}", "prompt": f"question {n}", "kind": "red_team", "text": "No."} for n in range(3)]
    options = {
        "reward": "judge", "steps": 2, "learning_rate": 1e-3, "generations": 2, "prompts_per_step": 2,
        "max_completion_length": 5,
    }  # fmt: skip
    file = write_job(
        tmp_path / "job", "rl", tiny, {"prompts": prompts, "responses": first}, options, models={"judge": tiny}
    )
    assert run(file) == 0
    earned = [event["data"]["reward"] for event in rollouts_in(file)]
    assert earned and all(0 < p < 1 for p in earned)
    lacking = write_job(
        tmp_path / "lacking", "rl", tiny, {"prompts": prompts, "responses": first[:1]}, options, models={"judge": tiny}
    )
    assert run(lacking) == 2
    assert "There is no first answer to the prompt" in events(lacking, "failed")[0]["message"]


def test_equal_answers_earn_one_half_and_others_what_the_judge_says() -> None:
    """The judge prefers the letter of the answer in both orders: (A) when it stands first, (B) when second."""
    backend: Any = ScriptedBackend([], [(-0.1, -2.4), (-2.4, -0.1)])
    reward = rewards.judge_reward(
        backend, CONSTITUTION.principles, {"q": "the same"}, template="paper", count=1, seed=7
    )
    asked = [{"role": "user", "content": "hello"}]
    same, better = reward(["q", "q"], [asked, asked], ["the same ", "another"])
    assert same == 0.5
    assert better == pytest.approx(1 / (1 + math.exp(-2.3)))


def test_a_missing_reward_model_is_named(tmp_path: Path, tiny: Path) -> None:
    file = rl_job(tmp_path, tiny, tmp_path / "nowhere")
    assert run(file) == 2
    assert "nowhere" in events(file, "failed")[0]["message"]


SPLITS = ((16, 1, (4, 4)), (6, 1, (3, 2)), (7, 1, (1, 7)), (2, 1, (2, 1)), (64, 8, (4, 2)))


@pytest.mark.parametrize(("answers", "processes", "expected"), SPLITS)
def test_a_step_is_split_into_equal_passes(answers: int, processes: int, expected: tuple[int, int]) -> None:
    assert split_step(answers, processes) == expected


def test_every_prompt_has_its_turn_and_none_comes_twice_in_a_step() -> None:
    kinds = ["red_team"] * 7 + ["helpful"] * 3
    order = prompt_order(kinds, 4, 15, 7)
    assert order == prompt_order(kinds, 4, 15, 7) != prompt_order(kinds, 4, 15, 8)
    for step in range(15):
        assert len(set(order[4 * step : 4 * step + 4])) == 4
    assert {order.count(prompt) for prompt in range(10)} == {6}
    assert sorted(prompt_order(kinds[:3], 3, 1, 7)) == [0, 1, 2]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 15), (0.3, 18), (0.5, 30)])
def test_a_wanted_share_of_helpful_prompts_holds_over_the_training(share: float, expected: int) -> None:
    kinds = ["red_team"] * 7 + ["helpful"] * 3
    order = prompt_order(kinds, 4, 15, 7, helpful_share=share)
    assert sum(kinds[place] == "helpful" for place in order) == expected
    assert all(len(set(order[4 * step : 4 * step + 4])) == 4 for step in range(15))
    turns = [order.count(place) for place in range(7)]
    assert max(turns) - min(turns) <= 1


def test_a_share_that_cannot_be_had_gives_what_there_is() -> None:
    kinds = ["red_team"] * 7 + ["helpful"] * 3
    order = prompt_order(kinds, 4, 2, 7, helpful_share=1.0)
    assert sum(kinds[place] == "helpful" for place in order) == 6
    assert len(set(order[:4])) == 4
    assert len(prompt_order(["red_team"] * 4, 2, 3, 7, helpful_share=0.5)) == 6


def test_answers_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(BadInput, match="cannot be shared evenly by 4"):
        split_step(6, 4)


def test_the_reward_reads_the_conversation_as_the_reward_model_was_trained(tmp_path: Path, reward: Path) -> None:
    scorer = Scorer.load(reward, Device("CPU", "cpu", "float32"))
    conversation = [{"role": "user", "content": "hello"}]
    state = SimpleNamespace(is_world_process_zero=True, global_step=4)
    with EventLog(tmp_path) as log:
        given = rl.for_trl(score_reward(scorer), log)(
            ["shown"], [[{"role": "assistant", "content": "hi"}]],
            id=["q0"], conversation=[conversation], trainer_state=state,
        )  # fmt: skip
        assert log.records("rollout").keys() == {"5/0"}
    assert given == scorer.answers([conversation], ["hi"])


def test_one_answer_a_prompt_is_recorded_and_never_twice(tmp_path: Path) -> None:
    asked = [[{"role": "user", "content": f"q{number // 2}"}] for number in range(12)]
    texts, rewards = [f"text {number}" for number in range(12)], [float(number) for number in range(12)]
    with EventLog(tmp_path) as log:
        for _ in range(2):
            record_rollouts(log, 3, asked, texts, rewards)
        records = log.records("rollout")
    assert list(records) == ["3/0", "3/1", "3/2", "3/3"]
    assert [data["text"] for data in records.values()] == ["text 0", "text 2", "text 4", "text 6"]


def test_prompts_that_leave_no_room_are_left_out_and_counted() -> None:
    form = ChatFormat(build_tiny_tokenizer())
    prompts = [
        Prompt.from_row({"id": name, "text": text, "kind": "red_team"})
        for name, text in (("short", "hi"), ("long", "word " * 99))
    ]
    rows, notes = policy_rows(form, prompts, room=100)
    assert [row["conversation"] for row in rows] == [[{"role": "user", "content": "hi"}]]
    assert notes == ["1 prompts are left out: they have more than 100 tokens."]
    with pytest.raises(BadInput, match="leaves room"):
        policy_rows(form, prompts[1:], room=100)
