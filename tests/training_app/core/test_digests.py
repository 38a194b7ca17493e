from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from training_app.core.digests import digest_file, digest_model_folder, model_files


def folder(path: Path) -> Path:
    (path / "sub").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights")
    (path / "config.json").write_bytes(b"{}")
    (path / "sub" / "template.jinja").write_bytes(b"x")
    return path


def test_a_file_s_digest_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello")
    assert digest_file(tmp_path / "a") == hashlib.sha256(b"hello").hexdigest()


def test_a_folder_s_digest_can_be_recomputed_with_common_tools(tmp_path: Path) -> None:
    model = folder(tmp_path / "model")
    recipe = "LC_ALL=C find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    lines = subprocess.run(["sh", "-c", recipe], cwd=model, capture_output=True, check=True, text=True).stdout
    assert digest_model_folder(model) == lines.split()[0]


def test_any_changed_added_or_renamed_file_changes_the_digest(tmp_path: Path) -> None:
    digests = {digest_model_folder(folder(tmp_path / "one"))}
    two = folder(tmp_path / "two")
    (two / "model.safetensors").write_bytes(b"Weights")
    three = folder(tmp_path / "three")
    (three / "more").write_bytes(b"")
    four = folder(tmp_path / "four")
    (four / "config.json").rename(four / "config2.json")
    digests |= {digest_model_folder(path) for path in (two, three, four)}
    assert len(digests) == 4


def test_lineage_and_hidden_files_are_no_part_of_the_model(tmp_path: Path) -> None:
    model = folder(tmp_path / "model")
    before = digest_model_folder(model)
    (model / "manifest.json").write_text("{}")
    (model / "constitution.json").write_text("{}")
    (model / ".cache").mkdir()
    (model / ".cache" / "x").write_text("x")
    assert digest_model_folder(model) == before
    assert [path.name for path in model_files(model)] == ["config.json", "model.safetensors", "template.jinja"]
