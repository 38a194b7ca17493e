"""Jobs for the training stages on the two-layer model: seconds of real training, every file in a temporary folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from constitutions_app.core.principles import Constitution, Principle, canonical_json, digest
from training_app.core.base_model import load_classifier, load_tokenizer
from training_app.core.datasets import canonical_jsonl
from training_app.core.device import Device
from training_app.core.digests import digest_file
from training_app.core.events import EventLog, read_events
from training_app.core.job import read_job
from training_app.core.stage import run_job, stage_function

CONSTITUTION = Constitution(
    name="Kindness",
    principles=(
        Principle(id="kind", title="Kindness", text="Choose the kinder response."),
        Principle(id="calm", title="Calm", text="Choose the calmer response."),
    ),
)
WORDS = ["kind", "calm", "warm", "harsh", "rude", "cold", "help", "harm", "home", "hope"]


def words(number: int, count: int) -> str:
    """A sentence that depends on `number` alone."""
    return f"{number} " + " ".join(WORDS[(number * 7 + step * (number + 3)) % len(WORDS)] for step in range(count))


def write_job(
    out: Path,
    stage: str,
    model: Path,
    inputs: Mapping[str, Sequence[Mapping[str, Any]]],
    params: Mapping[str, Any],
    *,
    models: Mapping[str, Path] | None = None,
    parents: Mapping[str, Any] | None = None,
    seed: int = 7,
) -> Path:
    """Write a job with its inputs and the constitution into `out`; returns the job file."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "constitution.json").write_text(canonical_json(CONSTITUTION), encoding="utf-8")
    named = {}
    for name, rows in inputs.items():
        path = out / f"{name}.jsonl"
        path.write_text(canonical_jsonl(rows), encoding="utf-8")
        named[name] = {"path": path.name, "digest": digest_file(path), "rows": len(rows)}
    job = {
        "schema": 1,
        "stage": stage,
        "run": "a run",
        "seed": seed,
        "out": ".",
        "constitution": {
            "path": "constitution.json",
            "digest": digest(CONSTITUTION),
            "slug": "kindness",
            "number": 3,
        },
        "model": {"path": str(model), "name": model.name},
        "models": {role: {"path": str(path), "name": path.name} for role, path in (models or {}).items()},
        "inputs": named,
        "parents": dict(parents or {}),
        "params": dict(params),
    }
    file = out / "job.json"
    file.write_text(json.dumps(job, sort_keys=True, indent=2), encoding="utf-8")
    return file


def sft_job(out: Path, model: Path, *, seed: int = 7, **params: Any) -> Path:
    """Eight examples, four steps in two epochs."""
    rows = [
        {
            "id": f"p{number}/1",
            "messages": [
                {"role": "user", "content": words(number, 4)},
                {"role": "assistant", "content": words(number + 20, 6)},
            ],
            "source": "revision" if number % 2 else "helpful",
        }
        for number in range(8)
    ]
    options = {"epochs": 2.0, "learning_rate": 1e-2, "batch_size": 4, "max_length": 160, "save_steps": 2}
    return write_job(
        out, "sft", model, {"train": rows}, options | params, seed=seed,
        parents={"datasets": [{"name": "sl-cai", "digest": digest_of(rows)}]},
    )  # fmt: skip


def pairs(count: int, *, start: int = 0, source: str = "ai") -> list[dict[str, Any]]:
    """Preference rows about different prompts; warm answers are the better ones."""
    return [
        {
            "id": f"{source}{number}",
            "prompt": words(number, 5),
            "response_a": f"warm {words(number + 40, 3)}",
            "response_b": f"cold {words(number + 80, 3)}",
            "p_a": 1.0 if source == "human" else round(0.6 + 0.02 * (number % 15), 2),
            "weight": 1.0,
            "source": source,
        }
        for number in range(start, start + count)
    ]


def reward_job(out: Path, model: Path, *, seed: int = 7, **params: Any) -> Path:
    """Eight pairs, four steps in two epochs, three pairs held out."""
    train = pairs(3) + pairs(5, start=10, source="human")
    options = {"epochs": 2.0, "learning_rate": 1e-2, "batch_size": 4, "max_length": 160, "save_steps": 2}
    return write_job(out, "reward", model, {"train": train, "heldout": pairs(3, start=50)}, options | params, seed=seed)


def rl_job(out: Path, model: Path, reward: Path, *, seed: int = 7, **params: Any) -> Path:
    """Four steps of three prompts with two answers each, accumulated over two passes."""
    prompts = [{"id": f"q{number}", "text": words(number, 4), "kind": "red_team"} for number in range(6)]
    options = {
        "steps": 4, "learning_rate": 1e-2, "beta": 0.1, "generations": 2, "prompts_per_step": 3,
        "max_completion_length": 6, "save_steps": 2,
    }  # fmt: skip
    return write_job(out, "rl", model, {"prompts": prompts}, options | params, models={"reward": reward}, seed=seed)


def dpo_job(out: Path, model: Path, *, seed: int = 7, **params: Any) -> Path:
    """Eight pairs, four steps in two epochs, three pairs held out."""
    train = pairs(3) + pairs(5, start=10, source="human")
    options = {
        "epochs": 2.0, "learning_rate": 1e-2, "batch_size": 4, "max_length": 160, "beta": 0.1, "save_steps": 2,
    }  # fmt: skip
    return write_job(out, "dpo", model, {"train": train, "heldout": pairs(3, start=50)}, options | params, seed=seed)


def digest_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The digest of rows as `write_job` writes them."""
    import hashlib

    return hashlib.sha256(canonical_jsonl(rows).encode()).hexdigest()


def run(file: Path, should_stop: Callable[[], bool] = lambda: False) -> int:
    """Run a job as the program does, to its exit code."""
    return run_job(file, should_stop)


def run_raising(file: Path, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Run a job's stage alone, so that what it raises is seen."""
    job = read_job(file)
    with EventLog(job.out) as events:
        stage_function(job.stage)(job, events, should_stop)


def events(file: Path, kind: str) -> list[dict[str, Any]]:
    """The events of one kind a job left behind."""
    return [event for event in read_events(file.parent / "events.jsonl") if event["kind"] == kind]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint folder."""
    found: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return found


def equal_weights(one: Path, other: Path) -> bool:
    """Whether two checkpoint folders hold the same tensors, bit for bit."""
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class StopAfter:
    """A `should_stop` that turns true at its n-th question."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train and generate in the processor's float32, whatever this processor could do."""
    compute_in(monkeypatch, "float32")


def compute_in(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """Train and generate in this number format, on one thread of the processor."""
    AcceleratorState._reset_state(True)  # as in a new process: another test may have chosen another number format
    torch.set_num_threads(1)  # two threads only wait for each other over a model this small
    cpu = Device("CPU", "cpu", dtype)
    for name in ("sft", "reward_model", "rl", "dpo", "evaluate"):
        monkeypatch.setattr(f"training_app.core.{name}.choose_device", lambda *_: cpu)


def save_random_reward_model(tiny: Path, folder: Path) -> Path:
    """A reward model with a random head: whatever it prefers, a policy can learn it."""
    torch.manual_seed(3)
    load_classifier(tiny, Device("CPU", "cpu", "float32")).save_pretrained(folder)
    load_tokenizer(tiny).save_pretrained(folder)
    return folder
