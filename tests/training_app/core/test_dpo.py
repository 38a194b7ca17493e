"""DPO with soft targets: the loss by hand, the pairs it reads, and that it learns what the targets say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from tests.tiny_model import build_tiny_model
from tests.training_app.core.training_jobs import dpo_job, events, in_float32, pairs, run, write_job
from training_app.core.base_model import load_model
from training_app.core.device import Device
from training_app.core.formatting import ChatFormat

CPU = Device("CPU", "cpu", "float32")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    in_float32(monkeypatch)


def by_hand(folder: Path, prompt: str, answer: str) -> float:
    """log π(answer): token by token, one row at a time, nothing padded."""
    form = ChatFormat.load(folder)
    encoded = form.answer([{"role": "user", "content": prompt}], answer)
    model = load_model(folder, CPU, dtype="float32")
    with torch.inference_mode():
        logps = model(torch.tensor([encoded.ids])).logits[0].double().log_softmax(-1)
    return sum(float(logps[at - 1, encoded.ids[at]]) for at in range(encoded.answer_at, len(encoded.ids)))


def test_the_loss_of_the_first_step_is_the_one_computed_by_hand(tmp_path: Path, tiny: Path) -> None:
    """Policy and reference differ, so no margin is 0; three pairs of different lengths, targets and weights."""
    other, beta = build_tiny_model(tmp_path / "other", seed=5), 0.3
    rows = [
        {**row, "response_b": row["response_b"] + " cold" * number, "p_a": p, "weight": weight}
        for number, (row, p, weight) in enumerate(zip(pairs(3), (0.8, 0.35, 0.5), (1.0, 2.0, 0.5), strict=True))
    ]
    options = {"batch_size": 3, "max_length": 300, "beta": beta, "learning_rate": 1e-4}
    file = write_job(tmp_path / "job", "dpo", tiny, {"train": rows}, options, models={"reference": other})
    assert run(file) == 0
    losses = []
    for row in rows:
        (a, b), (ref_a, ref_b) = (
            [by_hand(folder, row["prompt"], row[side]) for side in ("response_a", "response_b")]
            for folder in (tiny, other)
        )
        d = beta * ((a - ref_a) - (b - ref_b))
        up, down = math.log(1 / (1 + math.exp(-d))), math.log(1 / (1 + math.exp(d)))
        losses.append(-row["weight"] * (row["p_a"] * up + (1 - row["p_a"]) * down))
    assert events(file, "metric")[0]["values"]["loss"] == pytest.approx(sum(losses) / 3, rel=1e-5)


def test_without_another_reference_it_starts_at_an_even_chance(tmp_path: Path, tiny: Path) -> None:
    file = write_job(tmp_path, "dpo", tiny, {"train": pairs(4)}, {"batch_size": 4, "learning_rate": 1e-4})
    assert run(file) == 0
    assert events(file, "metric")[0]["values"]["loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_turned_targets_teach_the_opposite(tmp_path: Path, tiny: Path) -> None:
    learnt = {}
    for name, p_a in (("warm", 0.9), ("cold", 0.1)):
        rows, held = ([{**row, "p_a": p_a} for row in part] for part in (pairs(8), pairs(6, start=50)))
        options = {"epochs": 4.0, "learning_rate": 1e-2, "batch_size": 4, "max_length": 160}
        file = write_job(tmp_path / name, "dpo", tiny, {"train": rows, "heldout": held}, options)
        assert run(file) == 0
        learnt[name] = events(file, "finished")[0]["summary"]["heldout"]
    assert learnt["warm"]["accuracy"] == learnt["cold"]["accuracy"] == 1.0


def test_hard_labels_are_an_option(tmp_path: Path, tiny: Path) -> None:
    rows = [{**row, "p_a": 0.6} for row in pairs(4)]
    soft, hard = (
        write_job(
            tmp_path / str(on), "dpo", tiny, {"train": rows}, {"soft_targets": on, "learning_rate": 1e-2, "epochs": 2.0}
        )
        for on in (True, False)
    )
    assert [run(soft), run(hard)] == [0, 0]
    losses = [events(file, "metric")[-1]["values"]["loss"] for file in (soft, hard)]
    assert losses[1] < 0.5 < losses[0]  # a soft target's loss is never below its entropy, 0.67


def test_pairs_that_are_too_long_are_counted_and_a_leak_is_refused(tmp_path: Path, tiny: Path) -> None:
    long = {**pairs(1, start=70)[0], "response_b": "cold " * 200}
    file = write_job(tmp_path / "long", "dpo", tiny, {"train": [*pairs(4), long]}, {"max_length": 160})
    assert run(file) == 0
    assert "1 training pairs are left out" in events(file, "log")[0]["message"]
    assert events(file, "finished")[0]["summary"]["left_out"] == 1
    leak = write_job(tmp_path / "leak", "dpo", tiny, {"train": pairs(4), "heldout": pairs(1)}, {})
    assert run(leak) == 2
    only_long = write_job(tmp_path / "only", "dpo", tiny, {"train": [long]}, {"max_length": 160})
    assert run(only_long) == 2


def test_the_checkpoint_is_a_plain_model_again(tmp_path: Path, tiny: Path) -> None:
    file = dpo_job(tmp_path, tiny)
    assert run(file) == 0
    model = load_model(file.parent / "checkpoint", CPU, dtype="float32")
    assert type(model).__name__ == "LlamaForCausalLM"
    config = json.loads((file.parent / "checkpoint" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
