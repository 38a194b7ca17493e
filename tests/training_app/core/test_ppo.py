"""PPO against numbers computed by hand, a bandit whose optimum is known, and the direction that GRPO takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model
from tests.training_app.core.training_jobs import events, in_float32, rl_job, run, save_random_reward_model, weights
from training_app.core import rewards, rollouts
from training_app.core.base_model import load_model, load_tokenizer
from training_app.core.device import Device
from training_app.core.ppo import Running, gae, policy_losses, token_rewards, value_losses
from training_app.core.rewards import Reward

CPU = Device("CPU", "cpu", "float32")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scored(tiny: Path) -> Path:
    return save_random_reward_model(tiny, tiny.parent / "reward")


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    in_float32(monkeypatch)
    monkeypatch.setattr(rollouts, "MICRO_BATCH", 64)  # many small answers at once: the model is tiny


# The equations


def test_advantages_are_those_computed_by_hand() -> None:
    """Discount 0.9, lambda 0.8: δ3 = 2 - 0.3, δ2 = 0 + 0.9·0.3 - 0.4, δ1 = 1 + 0.9·0.4 - 0.5, A_t = δ_t + 0.72 A_{t+1}.

    The second row ends after its first action: A1 = 1 - 0.5, and what pads it has none.
    """
    values, mask = torch.tensor([[0.5, 0.4, 0.3], [0.5, 9.0, 9.0]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    found = gae(torch.tensor([[1.0, 0.0, 2.0], [1.0, 0.0, 0.0]]), values, mask, discount=0.9, gae_lambda=0.8)
    by_hand = [[0.86 + 0.72 * (-0.13 + 0.72 * 1.7), -0.13 + 0.72 * 1.7, 1.7], [0.5, 0.0, 0.0]]
    assert torch.allclose(found, torch.tensor(by_hand), atol=1e-6)
    assert found[0, 0].item() == pytest.approx(1.64768, abs=1e-6)


def test_lambda_goes_from_one_step_to_the_whole_return() -> None:
    draw = torch.Generator().manual_seed(1)
    rewards_, values = torch.randn(3, 6, generator=draw), torch.randn(3, 6, generator=draw)
    everything = torch.ones(3, 6)
    returns = rewards_.flip(1).cumsum(1).flip(1)
    whole = gae(rewards_, values, everything, discount=1.0, gae_lambda=1.0)
    assert torch.allclose(whole, returns - values, atol=1e-5)
    following = torch.cat([values[:, 1:], torch.zeros(3, 1)], dim=1)
    single = gae(rewards_, values, everything, discount=0.9, gae_lambda=0.0)
    assert torch.allclose(single, rewards_ + 0.9 * following - values, atol=1e-6)


def test_the_answers_reward_comes_at_its_last_token_and_the_penalty_at_every_one() -> None:
    ratios, mask = torch.tensor([[0.5, -0.25, 7.0], [1.0, 0.0, 2.0]]), torch.tensor([[1, 1, 0], [1, 1, 1]])
    found = token_rewards(torch.tensor([3.0, -1.0]), ratios, mask, beta=0.2)
    assert torch.allclose(found, torch.tensor([[-0.1, 3.05, 0.0], [-0.2, 0.0, -1.4]]), atol=1e-6)


def test_what_moved_too_far_in_its_favour_counts_no_further() -> None:
    logps = torch.tensor([0.3, 0.3, -0.4, -0.4]).requires_grad_()
    loss = policy_losses(logps, torch.zeros(4), torch.tensor([1.0, -1.0, 1.0, -1.0]), 0.2)
    ratios = [math.exp(0.3), math.exp(-0.4)]
    assert torch.allclose(loss, torch.tensor([-1.2, ratios[0], -ratios[1], 0.8]), atol=1e-6)
    torch.autograd.backward(loss.sum())
    assert logps.grad is not None
    assert [value != 0 for value in logps.grad.tolist()] == [False, True, True, False]


def test_the_worse_of_both_value_errors_counts() -> None:
    found = value_losses(torch.tensor([1.0, 0.1]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0]), 0.2)
    assert torch.allclose(found, torch.tensor([0.5 * 0.8**2, 0.5 * 0.9**2]))


def test_rewards_are_normalised_by_all_that_were_seen() -> None:
    running = Running()
    for part in ([1.0, 2.0], [3.0], [10.0, -4.0]):
        running.add(part)
    seen = torch.tensor([1.0, 2.0, 3.0, 10.0, -4.0])
    expected = (5.0 - seen.mean()) / seen.std(correction=0)
    assert running.normalised(5.0) == pytest.approx(expected.item(), abs=1e-6)
    alike = Running()
    alike.add([2.0, 2.0])
    assert alike.normalised(2.0) == 0.0


# The whole


def letters(*_: object) -> Reward:
    """1 for an answer that begins with a letter of the alphabet, else 0."""
    return lambda ids, conversations, answers: [
        float(answer[:1].isascii() and answer[:1].isalpha()) for answer in answers
    ]


def share_of_letters(folder: Path) -> float:
    """The probability that an answer begins with a letter, by the model itself, averaged over the job's prompts."""
    tokenizer, model = load_tokenizer(folder), load_model(folder, CPU, dtype="float32")
    is_letter = torch.tensor([
        (text := tokenizer.decode([token], skip_special_tokens=True))[:1].isascii() and text[:1].isalpha()
        for token in range(len(tokenizer))
    ])  # fmt: skip
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "0 kind kind kind kind"}], add_generation_prompt=True, return_tensors="pt",
        return_dict=True,
    )  # fmt: skip
    with torch.inference_mode():
        return float(model(**asked).logits[0, -1].softmax(-1)[is_letter].sum())


def test_a_bandit_comes_to_its_known_optimum(
    tmp_path: Path, tiny: Path, scored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One token an answer, one prompt: the best policy under the penalty is π_ref(a) exp(r(a) / β) / Z."""
    monkeypatch.setattr(rewards, "open_reward", letters)
    beta = 0.5
    file = rl_job(
        tmp_path, tiny, scored, algorithm="ppo", steps=24, generations=64, prompts_per_step=1, beta=beta,
        max_completion_length=1, learning_rate=5e-3, normalise_reward=False, save_steps=100,
    )  # fmt: skip
    _ask_one(file)
    start = share_of_letters(tiny)
    best = start * math.exp(1 / beta) / (start * math.exp(1 / beta) + 1 - start)
    assert run(file) == 0
    assert share_of_letters(file.parent / "checkpoint") == pytest.approx(best, abs=0.08)
    assert best > start + 0.15


def _ask_one(file: Path) -> None:
    """Leave only the first prompt in a job."""
    import json

    from training_app.core.digests import digest_file

    prompts = file.parent / "prompts.jsonl"
    prompts.write_text('{"id":"q0","kind":"red_team","text":"0 kind kind kind kind"}\n', encoding="utf-8")
    job = json.loads(file.read_text())
    job["inputs"]["prompts"] = {"path": prompts.name, "digest": digest_file(prompts), "rows": 1}
    file.write_text(json.dumps(job))


def test_it_goes_the_way_that_grpo_goes(
    tmp_path: Path, tiny: Path, scored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one step on the same reward both moved the weights alike; on the opposite reward, the other way."""

    def opposite(*_: object) -> Reward:
        return lambda ids, conversations, answers: [-value for value in letters()(ids, conversations, answers)]

    def moved(name: str, reward: Any, **options: Any) -> torch.Tensor:
        monkeypatch.setattr(rewards, "open_reward", reward)
        file = rl_job(
            tmp_path / name, tiny, scored, steps=1, generations=64, prompts_per_step=2, beta=0.0,
            max_completion_length=1, learning_rate=1e-3, **options,
        )  # fmt: skip
        assert run(file) == 0
        now, before = weights(file.parent / "checkpoint"), weights(tiny)
        return torch.cat([(now[part] - before[part]).flatten() for part in sorted(before)])

    by_grpo = moved("grpo", letters)
    by_ppo = moved("ppo", letters, algorithm="ppo", ppo_epochs=1)
    away = moved("away", opposite, algorithm="ppo", ppo_epochs=1)
    assert torch.cosine_similarity(by_ppo, by_grpo, dim=0) > 0.3
    assert torch.cosine_similarity(away, by_grpo, dim=0) < -0.3


def test_what_ppo_alone_knows_is_told_at_every_step(tmp_path: Path, tiny: Path, scored: Path) -> None:
    file = rl_job(tmp_path, tiny, scored, algorithm="ppo", minibatches=2, ppo_epochs=2)
    assert run(file) == 0
    told = [event["values"] for event in events(file, "metric")]
    assert all({"value_loss", "clipped", "cut_off"} <= values.keys() for values in told)
    assert told[0]["kl"] == pytest.approx(0.0, abs=1e-5)
    assert events(file, "progress")[-1]["tokens"] > 0
    assert events(file, "finished")[0]["summary"]["algorithm"] == "ppo"
