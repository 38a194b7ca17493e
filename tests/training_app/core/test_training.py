"""What the three trainers share, asked of each of them: weights move, a seed repeats, a resume changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from constitutions_app.core.principles import canonical_json, digest
from tests.tiny_model import build_tiny_model
from tests.training_app.core.training_jobs import (
    CONSTITUTION,
    StopAfter,
    compute_in,
    dpo_job,
    equal_weights,
    events,
    in_float32,
    reward_job,
    rl_job,
    run,
    save_random_reward_model,
    sft_job,
    weights,
)
from training_app.core import pace, training
from training_app.core.checkpoints import SEAL
from training_app.core.errors import StageError
from training_app.core.manifest import verify, weights_metadata

MakeJob = Callable[..., Path]
STAGES = ("sft", "reward", "rl", "ppo", "dpo")
"""Stages, and PPO, which is no trainer of TRL's; RLOO is the same trainer as the default GRPO but for its loss."""

RL = ("rl", "rloo", "ppo")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the policy "tiny" and a reward model "reward" with a random head."""
    folder = tmp_path_factory.mktemp("models")
    save_random_reward_model(build_tiny_model(folder / "tiny"), folder / "reward")
    return folder


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    in_float32(monkeypatch)


def write(models: Path, out: Path, stage: str, **params: Any) -> Path:
    if stage in RL:
        chosen = {} if stage == "rl" else {"algorithm": stage}
        return rl_job(out, models / "tiny", models / "reward", **{**chosen, **params})
    return {"sft": sft_job, "reward": reward_job, "dpo": dpo_job}[stage](out, models / "tiny", **params)


@pytest.fixture
def make_job(tmp_path: Path, models: Path) -> MakeJob:
    """``make_job(stage, name, **params)`` writes a job for the tiny model into a folder of that name."""
    return lambda stage, name, **params: write(models, tmp_path / name, stage, **params)


@pytest.fixture(scope="module")
def whole_runs(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The job file of an uninterrupted run of a stage, done once for all tests that only look at it."""
    done: dict[str, Path] = {}

    def whole(stage: str) -> Path:
        if stage not in done:
            done[stage] = write(models, tmp_path_factory.mktemp("whole"), stage)
            assert run(done[stage]) == 0
        return done[stage]

    return whole


@pytest.mark.parametrize("stage", STAGES)
def test_it_trains_publishes_and_proves_where_the_weights_come_from(
    whole_runs: Callable[[str], Path], stage: str
) -> None:
    file = whole_runs(stage)
    folder = file.parent / "checkpoint"
    found = verify(folder)
    assert found.ok, found.problems
    assert found.constitution_digest == digest(CONSTITUTION)
    assert (folder / "constitution.json").read_text(encoding="utf-8") == canonical_json(CONSTITUTION)
    assert found.manifest is not None
    job = json.loads(file.read_text())
    assert found.manifest["config"] == job["params"]
    inputs = sorted(job["inputs"].items())
    assert [entry["digest"] for entry in found.manifest["datasets"]] == [ref["digest"] for _, ref in inputs]
    assert weights_metadata(folder / "model.safetensors") == {
        "format": "pt",
        "constitution_digest": digest(CONSTITUTION),
        "dataset_digests": ",".join(ref["digest"] for _, ref in inputs),
        "run": "a run",
        "stage": "rl" if stage in RL else stage,
    }
    (checkpoint,) = events(file, "checkpoint")
    assert checkpoint["digest"] == found.manifest_digest
    assert checkpoint["files"] == len(list(folder.iterdir()))
    moved = checkpoint["weights_moved"]
    assert 0 < moved["changed"] <= moved["of"]
    assert moved["max_abs"] > 0
    assert not (file.parent / "trainer").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_it_learns_in_a_process_in_which_another_training_broke_off(make_job: MakeJob, stage: str) -> None:
    """accelerate keeps, for the whole process, whether gradients are still being gathered: an optimizer then waits."""
    from accelerate import Accelerator

    Accelerator().sync_gradients = False
    assert run(make_job(stage, "after")) == 0


@pytest.mark.parametrize("stage", STAGES)
def test_every_step_is_told_once_and_finite(whole_runs: Callable[[str], Path], stage: str) -> None:
    file = whole_runs(stage)
    told = events(file, "metric")
    assert [event["step"] for event in told] == [1, 2, 3, 4]
    expected = {"loss", "learning_rate", "grad_norm"}
    expected |= {"reward", "reward_std", "kl", "entropy", "completion_length"} if stage in RL else set()
    assert all(expected <= event["values"].keys() for event in told)
    assert all(event["values"]["seconds_a_step"] > 0 for event in told[1:]), "the first step also warms up"
    (started,) = events(file, "started")
    assert (started["total"], started["unit"], started["resumed_at"]) == (4, "steps", 0)
    assert [event["done"] for event in events(file, "progress")] == [1, 2, 3, 4]
    (batch,) = (event for event in events(file, "record") if event["record"] == "first_batch")
    assert all("01" in row["learnt"] for row in batch["data"]["rows"]), "what is asked is read, what is said is learnt"
    (finished,) = events(file, "finished")
    assert finished["summary"]["steps"] == 4
    assert finished["summary"]["curves"]["loss"]["last"] == told[-1]["values"]["loss"]
    assert not finished["summary"]["curves"].keys() & set(pace.NAMES), "no two trainings take equally long"


def curves(file: Path) -> list[dict[str, float]]:
    """What every step told, but for how long it took."""
    told = [event["values"] for event in events(file, "metric")]
    return [{name: value for name, value in values.items() if name not in pace.NAMES} for values in told]


@pytest.mark.parametrize("stage", [*STAGES, "rloo"])
def test_a_stopped_run_resumes_to_the_weights_of_an_uninterrupted_one(
    make_job: MakeJob, whole_runs: Callable[[str], Path], stage: str
) -> None:
    whole, stopped = whole_runs(stage), make_job(stage, "stopped")
    assert run(stopped, StopAfter(3)) == 3
    assert events(stopped, "stopped")[0]["done"] == 3
    assert (stopped.parent / "trainer/checkpoint-3" / SEAL).exists()
    assert not (stopped.parent / "checkpoint").exists()
    assert run(stopped) == 0
    assert events(stopped, "started")[1]["resumed_at"] == 3
    assert equal_weights(whole.parent / "checkpoint", stopped.parent / "checkpoint")
    assert curves(whole) == curves(stopped)


@pytest.mark.parametrize("stage", STAGES)
def test_after_a_kill_a_damaged_newest_state_is_passed_over(
    make_job: MakeJob, whole_runs: Callable[[str], Path], stage: str
) -> None:
    whole, killed = whole_runs(stage), make_job(stage, "killed")
    assert run(killed, StopAfter(3)) == 3
    newest = killed.parent / "trainer/checkpoint-3"
    damaged = bytearray((newest / "model.safetensors").read_bytes())
    damaged[-40] ^= 1
    (newest / "model.safetensors").write_bytes(bytes(damaged))
    assert run(killed) == 0
    assert events(killed, "started")[1]["resumed_at"] == 2
    warnings = [event["message"] for event in events(killed, "log") if event["level"] == "warning"]
    assert "The resume state of step 3 was thrown away: model.safetensors was changed." in warnings
    assert equal_weights(whole.parent / "checkpoint", killed.parent / "checkpoint")
    assert [event["step"] for event in events(killed, "metric")] == [1, 2, 3, 4]


@pytest.mark.parametrize("stage", STAGES)
def test_a_seed_repeats_and_another_differs(make_job: MakeJob, whole_runs: Callable[[str], Path], stage: str) -> None:
    whole, again, other = whole_runs(stage), make_job(stage, "again"), make_job(stage, "other", seed=8)
    assert [run(again), run(other)] == [0, 0]
    assert equal_weights(whole.parent / "checkpoint", again.parent / "checkpoint")
    assert not equal_weights(whole.parent / "checkpoint", other.parent / "checkpoint")


def test_a_checkpoint_that_was_published_before_a_kill_is_not_made_again(make_job: MakeJob) -> None:
    file = make_job("sft", "run")
    assert run(file) == 0
    folder = file.parent / "checkpoint"
    before = folder.stat().st_ino
    log = file.parent / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-2]))  # killed between publishing and saying so
    assert run(file) == 0
    assert folder.stat().st_ino == before
    assert len(events(file, "checkpoint")) == 1
    assert events(file, "finished")[0]["summary"] == json.loads(lines[-1])["summary"]


def test_a_checkpoint_of_another_job_in_the_folder_is_replaced(
    make_job: MakeJob, whole_runs: Callable[[str], Path]
) -> None:
    other, file = whole_runs("sft"), make_job("sft", "run", learning_rate=1e-3)
    shutil.copytree(other.parent / "checkpoint", file.parent / "checkpoint")
    assert run(file) == 0
    assert verify(file.parent / "checkpoint").ok
    assert not equal_weights(file.parent / "checkpoint", other.parent / "checkpoint")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_loss_that_is_no_number_fails_the_stage_with_a_sentence(
    make_job: MakeJob, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, dtype: str
) -> None:
    compute_in(monkeypatch, dtype)
    broken = shutil.copytree(models, tmp_path / "broken") / "tiny"
    tensors = weights(broken)
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    file = write(broken.parent, tmp_path / "run", stage)
    assert run(file) == 1
    (failed,) = events(file, "failed")
    assert failed["error"] == "not_finite"
    assert "became" in failed["message"]
    assert not (file.parent / "checkpoint").exists()
    assert not events(file, "metric")


def test_weights_that_did_not_move_fail_the_stage(make_job: MakeJob) -> None:
    file = make_job("sft", "run", learning_rate=1e-60)
    assert run(file) == 1
    (failed,) = events(file, "failed")
    assert failed["message"].startswith("No weight moved")
    assert not (file.parent / "checkpoint").exists()


def test_steps_too_small_for_bfloat16_survive_in_the_checkpoint(make_job: MakeJob, models: Path) -> None:
    file = make_job("sft", "run", learning_rate=1e-7)
    assert run(file) == 0
    saved, start = weights(file.parent / "checkpoint"), weights(models / "tiny")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    moved = sum(int((saved[name] != start[name]).sum()) for name in start)
    rounded = sum(int((saved[name].bfloat16() != start[name].bfloat16()).sum()) for name in start)
    assert moved == events(file, "checkpoint")[0]["weights_moved"]["changed"]
    assert rounded < 0.01 * moved


@pytest.mark.parametrize("stage", STAGES)
def test_no_path_of_this_machine_is_published(
    whole_runs: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, stage: str
) -> None:
    for path in (whole_runs(stage).parent / "checkpoint").iterdir():
        assert str(tmp_path_factory.getbasetemp()).encode() not in path.read_bytes(), path.name


def test_a_launcher_that_promised_more_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(training, "world_size", lambda: 1)
    with pytest.raises(StageError, match="started 2 processes, but 1 of them"):
        training.check_world_size()
    monkeypatch.setattr(training, "world_size", lambda: 2)
    training.check_world_size()
