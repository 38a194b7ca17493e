from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from constitutions_app.core.principles import canonical_json, digest
from tests.training_app.core.training_jobs import CONSTITUTION
from training_app.core.manifest import manifest_text, read_manifest, verify, weights_metadata, write_manifest

DATASETS = [{"name": "sl-cai", "digest": "d" * 64, "rows": 8}, {"name": "other", "digest": "e" * 64, "rows": None}]
CONTENT: dict[str, Any] = {
    "stage": "sft", "run": "a run", "created_at": "2026-01-01T00:00:00Z",
    "constitution": {"slug": "kindness", "number": 3, "digest": digest(CONSTITUTION)},
    "datasets": DATASETS, "parent": None, "base_model": {"name": "tiny", "digest": "b" * 64}, "models": {},
    "config": {"learning_rate": 1e-05, "epochs": 1.0}, "seed": 7, "job_digest": "a" * 64,
    "code": {"version": "1", "commit": None}, "packages": {"torch": "2"}, "hardware": {"device": "CPU"},
}  # fmt: skip
METADATA = {
    "format": "pt",
    "constitution_digest": digest(CONSTITUTION),
    "dataset_digests": f"{'d' * 64},{'e' * 64}",
    "run": "a run",
    "stage": "sft",
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_file({"weight": torch.arange(12.0)}, folder / "model.safetensors", metadata=METADATA)
    (folder / "config.json").write_text("{}")
    (folder / "constitution.json").write_text(canonical_json(CONSTITUTION), encoding="utf-8")
    write_manifest(folder, CONTENT)
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest the way somebody would who knows how it is sealed."""
    manifest = read_manifest(folder)
    assert manifest is not None
    change(manifest)
    (folder / "manifest.json").write_text(manifest_text(manifest), encoding="utf-8")


def problems(folder: Path) -> dict[str, str]:
    found = verify(folder)
    assert found.ok is not bool(found.problems)
    return dict(found.problems)


def test_an_untouched_checkpoint_verifies_and_says_what_was_checked(checkpoint: Path) -> None:
    found = verify(checkpoint)
    assert found.ok
    assert found.constitution_digest == digest(CONSTITUTION)
    assert found.manifest is not None
    assert found.manifest["config"] == CONTENT["config"]
    assert len(found.checked) == 6
    assert any("model.safetensors has the sha256" in sentence for sentence in found.checked)


def test_a_checkpoint_verifies_wherever_it_is_carried(checkpoint: Path, tmp_path: Path) -> None:
    assert verify(shutil.copytree(checkpoint, tmp_path / "elsewhere")).ok


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json", "constitution.json", "config.json"])
def test_any_flipped_byte_is_found_and_its_file_named(checkpoint: Path, name: str) -> None:
    path = checkpoint / name
    good = path.read_bytes()
    for position in range(0, len(good), max(1, len(good) // 60)):
        bad = bytearray(good)
        bad[position] ^= 1
        path.write_bytes(bytes(bad))
        assert name in problems(checkpoint), (position, good[position - 5 : position + 5])
    path.write_bytes(good)
    assert verify(checkpoint).ok


def test_every_single_byte_of_the_manifest_counts(checkpoint: Path) -> None:
    path = checkpoint / "manifest.json"
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 32]) + good[position + 1 :])
        assert not verify(checkpoint).ok, good[position - 9 : position + 9]


def test_an_extra_and_a_missing_file_are_found(checkpoint: Path) -> None:
    (checkpoint / "extra.bin").write_bytes(b"x")
    (checkpoint / "deep").mkdir()
    (checkpoint / "deep" / ".hidden").write_bytes(b"x")
    (checkpoint / "config.json").unlink()
    found = problems(checkpoint)
    assert "does not list it" in found["extra.bin"]
    assert "does not list it" in found["deep/.hidden"]
    assert found["config.json"] == "config.json is missing."


@pytest.mark.parametrize("name", ["constitution.json", "model.safetensors", "manifest.json"])
def test_no_part_may_be_missing(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    assert "missing" in problems(checkpoint)[name]


@pytest.mark.parametrize(
    ("key", "words"), [("constitution_digest", "constitution digest"), ("dataset_digests", "dataset")]
)
def test_weights_that_name_other_origins_are_found_even_when_listed(checkpoint: Path, key: str, words: str) -> None:
    path = checkpoint / "model.safetensors"
    save_file(load_file(path), path, metadata=METADATA | {key: "f" * 64})
    manifest = read_manifest(checkpoint)
    assert manifest is not None
    write_manifest(checkpoint, {name: value for name, value in manifest.items() if name != "files"})
    assert words in problems(checkpoint)["model.safetensors"]


def test_another_constitution_is_found_even_when_its_digest_is_listed(checkpoint: Path) -> None:
    (checkpoint / "constitution.json").write_text("{}")
    manifest = read_manifest(checkpoint)
    assert manifest is not None
    write_manifest(checkpoint, {name: value for name, value in manifest.items() if name != "files"})
    assert "not the constitution the manifest names" in problems(checkpoint)["constitution.json"]


OUTSIDE = ("../secret", "/etc/passwd", "a/../../secret", "..", "", "./config.json", "a\\b", "a\0b")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_manifest_cannot_point_out_of_its_folder(checkpoint: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    entry = {"sha256": "0" * 64, "bytes": 6}
    rewrite(checkpoint, lambda manifest: manifest["files"].update({name: entry}))
    assert "not a file inside the folder" in problems(checkpoint)["manifest.json"]


def test_links_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    shutil.move(checkpoint / "config.json", outside)
    (checkpoint / "config.json").symlink_to(outside)
    assert "link" in problems(checkpoint)["config.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"schema": 1}', b'{"schema": 2}', b'{"schema": 1, "files": NaN}',
     b"[" * 9999,
     b'{"schema": 1, "files": {"a": 1, "b": {"sha256": 3}}, "constitution": 3, "datasets": 4}',
     b'{"schema": 1, "files": [], "constitution": {}, "datasets": [1], "seed": true}'],
)  # fmt: skip
def test_a_damaged_manifest_is_a_problem_not_a_crash(checkpoint: Path, content: bytes) -> None:
    (checkpoint / "manifest.json").write_bytes(content)
    assert "manifest.json" in problems(checkpoint)


NO_WEIGHTS = (b"", b"1234567", b"\xff" * 16, b"\x02" + b"\0" * 7 + b"[]", b"\x04" + b"\0" * 7 + b"{..}")


@pytest.mark.parametrize("content", NO_WEIGHTS)
def test_damaged_weights_are_a_problem_not_a_crash(checkpoint: Path, content: bytes) -> None:
    (checkpoint / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in problems(checkpoint)


def test_there_must_be_a_folder_and_weights(checkpoint: Path, tmp_path: Path) -> None:
    assert "no checkpoint folder" in problems(tmp_path / "nowhere")["manifest.json"]
    (checkpoint / "model.safetensors").unlink()
    manifest = read_manifest(checkpoint)
    assert manifest is not None
    write_manifest(checkpoint, {name: value for name, value in manifest.items() if name != "files"})
    assert "no safetensors weights" in problems(checkpoint)["manifest.json"]


def test_the_header_of_weights_is_read_alone(checkpoint: Path) -> None:
    assert weights_metadata(checkpoint / "model.safetensors") == METADATA


def test_a_stage_without_a_constitution_says_so(checkpoint: Path) -> None:
    rewrite(checkpoint, lambda manifest: manifest.update(constitution=None))
    assert "names none" in problems(checkpoint)["constitution.json"]


def test_the_manifest_is_ordinary_json(checkpoint: Path) -> None:
    data = json.loads((checkpoint / "manifest.json").read_text())
    assert sorted(data["files"]) == ["config.json", "constitution.json", "model.safetensors"]
    assert data["schema"] == 1


def test_a_pipe_in_place_of_the_manifest_does_not_make_it_wait_for_ever(checkpoint: Path) -> None:
    (checkpoint / "manifest.json").unlink()
    os.mkfifo(checkpoint / "manifest.json")
    assert problems(checkpoint) == {"manifest.json": "The manifest cannot be read: it is no ordinary file."}


def test_names_that_forge_lines_of_the_report_or_fit_no_file_system_are_told_and_not_obeyed(checkpoint: Path) -> None:
    entry = {"sha256": "a" * 64, "bytes": 1}
    rewrite(checkpoint, lambda manifest: manifest["files"].update({"x\nok   all is well": entry, "y" * 300: entry}))
    found = problems(checkpoint)
    assert "'x\\nok   all is well', which is not a file" in found["manifest.json"]
    assert found["y" * 300] == f"{'y' * 300} cannot be read: File name too long."
    assert not any("\n" in sentence for sentence in found.values())


def test_half_a_character_and_endless_nesting_are_damage(checkpoint: Path) -> None:
    text = (checkpoint / "manifest.json").read_text(encoding="utf-8")
    for part in ('"\\ud800": 1', f'"deep": {"[" * 400}{"]" * 400}'):
        (checkpoint / "manifest.json").write_text(f"{{{part}, {text[1:]}", encoding="utf-8")
        assert "manifest.json" in problems(checkpoint)


def test_a_file_whose_name_is_no_text_is_named_all_the_same(checkpoint: Path) -> None:
    Path(os.fsdecode(os.fsencode(checkpoint) + b"/\xff\x1b[2J")).write_text("hidden")
    (name,) = problems(checkpoint)
    assert name.isprintable()


def test_a_folder_that_may_not_be_looked_into_is_wrong(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkpoint / "locked").mkdir()
    (checkpoint / "locked" / "extra.bin").write_text("hidden")
    plain = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert problems(checkpoint) == {"locked": "locked cannot be read: Permission denied."}
