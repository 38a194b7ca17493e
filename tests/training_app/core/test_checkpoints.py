from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training_app.core.checkpoints import SEAL, newest_sound_state, prune_states, seal_problem, seal_state

FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def state(trainer: Path, step: int, *, sealed: bool = True, identity: str = "job") -> Path:
    folder = trainer / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(f"{name} of step {step}".encode() * 20)
    if sealed:
        seal_state(folder, step=step, identity=identity)
    return folder


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(bytes(content))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9])


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no trainer state": (lambda folder: (folder / "trainer_state.json").unlink(), "trainer_state.json is missing"),
    "truncated weights": (lambda folder: truncate(folder / "model.safetensors"), "model.safetensors was changed"),
    "truncated optimizer": (lambda folder: truncate(folder / "optimizer.pt"), "optimizer.pt was changed"),
    "empty folder": (emptied, "it was not finished"),
    "no optimizer": (lambda folder: (folder / "optimizer.pt").unlink(), "optimizer.pt is missing"),
    "no random state": (lambda folder: (folder / "rng_state.pth").unlink(), "rng_state.pth is missing"),
    "flipped bits in weights": (lambda folder: flip(folder / "model.safetensors"), "model.safetensors was changed"),
    "added pickle": (lambda folder: (folder / "evil.pt").write_bytes(b"x"), "evil.pt was added"),
    "no seal": (lambda folder: (folder / SEAL).unlink(), "it was not finished"),
    "damaged seal": (lambda folder: (folder / SEAL).write_bytes(b"{"), "its seal is damaged"),
    "seal of another kind": (lambda folder: (folder / SEAL).write_text("[]"), "its seal is damaged"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_newest_state_falls_back_to_the_one_before(tmp_path: Path, name: str) -> None:
    damage, reason = DAMAGES[name]
    older, newest = state(tmp_path, 5), state(tmp_path, 10)
    damage(newest)
    found, thrown = newest_sound_state(tmp_path, identity="job")
    assert found == older
    assert thrown == [f"The resume state of step 10 was thrown away: {reason}."]
    assert not newest.exists()


def test_numbers_count_as_numbers(tmp_path: Path) -> None:
    state(tmp_path, 9)
    newest = state(tmp_path, 10)
    assert newest_sound_state(tmp_path, identity="job") == (newest, [])


def test_without_a_sound_state_there_is_none(tmp_path: Path) -> None:
    assert newest_sound_state(tmp_path / "nothing", identity="job") == (None, [])
    state(tmp_path, 3, sealed=False)
    found, thrown = newest_sound_state(tmp_path, identity="job")
    assert found is None
    assert len(thrown) == 1


def test_a_state_of_another_job_or_step_is_refused(tmp_path: Path) -> None:
    folder = state(tmp_path, 3, identity="other job")
    assert seal_problem(folder, identity="job") == "it belongs to another job"
    moved = folder.rename(tmp_path / "checkpoint-99")
    assert seal_problem(moved, identity="other job") == "its seal is of another step"


def test_pruning_keeps_the_newest_two(tmp_path: Path) -> None:
    for step in (2, 4, 10):
        state(tmp_path, step)
    prune_states(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-4"]


def test_the_seal_is_written_last_and_lists_every_file(tmp_path: Path) -> None:
    folder = state(tmp_path, 1)
    assert sorted(json.loads((folder / SEAL).read_text())["files"]) == sorted(FILES)
    assert seal_problem(folder, identity="job") is None
