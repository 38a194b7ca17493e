from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model, build_tiny_tokenizer
from tests.training_app.core.training_jobs import (
    events,
    in_float32,
    pairs,
    reward_job,
    run,
    save_random_reward_model,
    write_job,
)
from training_app.core.device import Device
from training_app.core.errors import NotFinite
from training_app.core.formatting import ChatFormat
from training_app.core.reward_model import (
    EncodedPair,
    Pair,
    Scorer,
    encode_pairs,
    hard_target,
    quality,
    soft_preference_loss,
)

CPU = Device("CPU", "cpu", "float32")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scorer(tiny: Path) -> Scorer:
    return Scorer.load(save_random_reward_model(tiny, tiny.parent / "reward"), CPU)


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    in_float32(monkeypatch)


# The loss


def test_the_loss_is_the_one_computed_by_hand() -> None:
    loss = soft_preference_loss(
        torch.tensor([1.5, -0.2, 0.0], dtype=torch.float64),
        torch.tensor([0.5, 0.3, 0.0], dtype=torch.float64),
        torch.tensor([0.8, 0.35, 0.5], dtype=torch.float64),
        torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64),
    )
    # d = 1, -1/2, 0.  -log s(1) = 0.3132616875, -log s(-1) = 1.3132616875, -log s(1/2) = 0.4740769842,
    # -log s(-1/2) = 0.9740769842, -log s(0) = 0.6931471806
    by_hand = (
        1.0 * (0.8 * 0.3132616875 + 0.2 * 1.3132616875)
        + 2.0 * (0.35 * 0.9740769842 + 0.65 * 0.4740769842)
        + 0.5 * 0.6931471806
    ) / 3
    assert loss.item() == pytest.approx(by_hand, abs=1e-6)
    assert loss.item() == pytest.approx(0.7193297487, abs=1e-6)


def test_certain_targets_give_the_ordinary_preference_loss() -> None:
    a, b, one = torch.tensor([0.3, 2.0]), torch.tensor([1.0, -1.0]), torch.ones(2)
    assert soft_preference_loss(a, b, one, one).item() == pytest.approx(
        -torch.nn.functional.logsigmoid(a - b).mean().item(), abs=1e-6
    )


def test_swapping_the_responses_swaps_the_target() -> None:
    a, b, p, w = torch.randn(4, 16, generator=torch.Generator().manual_seed(1)).unbind()
    p = p.sigmoid()
    assert torch.allclose(soft_preference_loss(a, b, p, w), soft_preference_loss(b, a, 1 - p, w))


def test_the_loss_is_least_where_the_reward_says_the_target() -> None:
    p = torch.tensor([0.73])
    margin = torch.logit(p).requires_grad_()
    torch.autograd.backward(soft_preference_loss(margin, torch.zeros(1), p, torch.ones(1)))
    assert margin.grad is not None
    assert margin.grad.item() == pytest.approx(0.0, abs=1e-7)


def test_a_pair_without_weight_teaches_nothing_and_huge_margins_stay_finite() -> None:
    a = torch.tensor([1e4, -1e4], requires_grad=True)
    loss = soft_preference_loss(a, -a.detach(), torch.tensor([0.0, 0.5]), torch.tensor([0.0, 1.0]))
    torch.autograd.backward(loss)
    assert math.isfinite(loss.item())
    assert a.grad is not None
    assert a.grad[0].item() == 0.0


def test_hard_labels_round_and_leave_ties() -> None:
    assert [hard_target(p) for p in (0.0, 0.4999, 0.5, 0.51, 1.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]


# Training


def test_targets_and_weights_reach_the_loss(tmp_path: Path, tiny: Path) -> None:
    """The trainer drops columns it does not know; a run whose targets are turned round must learn the opposite."""
    learnt = {}
    for name, p_a in (("warm", 0.9), ("cold", 0.1)):
        rows = [{**row, "p_a": p_a} for row in pairs(8)]
        held = [{**row, "p_a": p_a} for row in pairs(6, start=50)]
        options = {"epochs": 4.0, "learning_rate": 2e-2, "batch_size": 4, "max_length": 160, "save_steps": 50}
        file = write_job(tmp_path / name, "reward", tiny, {"train": rows, "heldout": held}, options)
        assert run(file) == 0
        learnt[name] = events(file, "finished")[0]["summary"]["heldout"]
        assert events(file, "metric")[0]["values"]["loss"] == pytest.approx(0.7, abs=0.4)
    assert learnt["warm"]["accuracy"] == learnt["cold"]["accuracy"] == 1.0
    assert learnt["warm"]["ece"] < 0.35
    assert learnt["warm"]["brier"] < 0.2
    assert learnt["warm"]["accuracy_interval"][0] > 0.5


def test_pairs_without_weight_do_not_change_what_is_learnt(tmp_path: Path, tiny: Path) -> None:
    """One batch holds everything, so a pair of weight 0 may only change the mean's divisor, which Adam ignores."""
    rewards = []
    for name, extra in (("without", []), ("with", [{**row, "weight": 0.0, "p_a": 0.0} for row in pairs(4, start=30)])):
        options = {"epochs": 1.0, "learning_rate": 1e-2, "batch_size": 8, "max_length": 160}
        file = write_job(tmp_path / name, "reward", tiny, {"train": [*pairs(4), *extra]}, options)
        assert run(file) == 0
        score = Scorer.load(file.parent / "checkpoint", CPU)
        rewards.append(score.answers([[{"role": "user", "content": "hi"}]], ["warm day"])[0])
    assert rewards[0] == pytest.approx(rewards[1], abs=1e-3)


def test_it_counts_pairs_that_are_too_long_and_warns_of_harmlessness(tmp_path: Path, tiny: Path) -> None:
    long, other = ({**row, "response_b": "cold " * 200} for row in pairs(2, start=70))
    options = {"epochs": 1.0, "learning_rate": 1e-2, "batch_size": 4, "max_length": 160}
    train = [*pairs(4), *pairs(1, start=20, source="human"), long]
    file = write_job(tmp_path / "job", "reward", tiny, {"train": train, "heldout": [other]}, options)
    assert run(file) == 0
    warnings = [event["message"] for event in events(file, "log") if event["level"] == "warning"]
    assert "1 training pairs are left out: a side has more than 160 tokens." in warnings
    assert "1 held-out pairs are left out: a side has more than 160 tokens." in warnings
    assert any(warning.startswith("Harmlessness labels carry 80% of the loss weight") for warning in warnings)
    summary = events(file, "finished")[0]["summary"]
    assert (summary["pairs"], summary["left_out"]) == (5, 1)
    assert summary["heldout"]["accuracy"] is None
    assert summary["heldout"]["note"] == "there are no held-out pairs"


def test_balanced_weights_raise_no_warning(tmp_path: Path, tiny: Path) -> None:
    file = reward_job(tmp_path / "job", tiny)
    assert run(file) == 0
    assert not [event for event in events(file, "log") if "Harmlessness" in event["message"]]


def test_a_held_out_prompt_that_is_trained_on_is_refused(tmp_path: Path, tiny: Path) -> None:
    file = write_job(tmp_path / "job", "reward", tiny, {"train": pairs(4), "heldout": pairs(1)}, {})
    assert run(file) == 2
    assert "is also in the training row" in events(file, "failed")[0]["message"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"p_a": 1.2}, "p_a should be between 0 and 1"),
        ({"p_a": True}, "p_a should be a number"),
        ({"weight": -1.0}, "weight should be 0 or more"),
        ({"source": "rumour"}, "source should be one of ai, human, audit"),
        ({"response_a": None}, "response_a is missing"),
    ],
)
def test_a_malformed_pair_is_named_by_its_line(tmp_path: Path, tiny: Path, change: dict[str, Any], reason: str) -> None:
    rows = [*pairs(1), {**pairs(1, start=1)[0], **change}]
    file = write_job(tmp_path / "job", "reward", tiny, {"train": rows}, {})
    assert run(file) == 2
    assert f"train.jsonl, line 2: {reason}" in events(file, "failed")[0]["message"]


def test_pairs_that_all_weigh_nothing_or_fit_nowhere_are_refused(tmp_path: Path, tiny: Path) -> None:
    nothing = [{**row, "weight": 0.0} for row in pairs(2)]
    file = write_job(tmp_path / "nothing", "reward", tiny, {"train": nothing}, {})
    assert run(file) == 2
    assert "No pair has any weight" in events(file, "failed")[0]["message"]
    file = write_job(tmp_path / "long", "reward", tiny, {"train": pairs(2)}, {"max_length": 8})
    assert run(file) == 2
    assert "No pair fits into 8 tokens" in events(file, "failed")[0]["message"]


# Scoring


def test_a_score_does_not_depend_on_what_is_scored_beside_it(scorer: Scorer) -> None:
    prompts = [[{"role": "user", "content": f"question {number}"}] for number in range(11)]
    answers = [f"answer {'word ' * number}" for number in range(11)]
    together = scorer.answers(prompts, answers)
    alone = [scorer.answers([prompt], [answer])[0] for prompt, answer in zip(prompts, answers, strict=True)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together)) == 11


def test_a_score_that_is_no_number_is_refused(scorer: Scorer) -> None:
    with torch.no_grad():
        head = scorer.model.score.weight.clone()
        scorer.model.score.weight.fill_(float("nan"))
        with pytest.raises(NotFinite):
            scorer.answers([[{"role": "user", "content": "hi"}]], ["there"])
        scorer.model.score.weight.copy_(head)


def test_quality_counts_no_tie_as_right_or_wrong(scorer: Scorer) -> None:
    form = ChatFormat(build_tiny_tokenizer())
    rows = [Pair.from_row({**row, "p_a": p}) for row, p in zip(pairs(3), (0.9, 0.5, 0.1), strict=True)]
    encoded, left_out = encode_pairs(form, rows, max_length=160, soft=True)
    assert left_out == []
    assert [pair.p for pair in encoded] == [0.9, 0.5, 0.1]
    found = quality(scorer, encoded)["heldout"]
    assert found["pairs"] == 3
    assert found["accuracy"] in (0.0, 0.5, 1.0)
    assert quality(scorer, [EncodedPair(encoded[0].ids_a, encoded[0].ids_b, 0.5, 1.0)])["heldout"]["accuracy"] is None
