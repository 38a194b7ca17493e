"""Base models people may start a run from: folders under MODELS_ROOT, checked before anything is written.

A path that a person types never reaches the disk elsewhere: only what the operator put (or linked) under MODELS_ROOT
can be named. Weights are read as safetensors only, so a folder without them is refused here and not an hour later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from training_app.core.base_model import check_model_folder
from training_app.core.digests import digest_model_folder
from training_app.core.errors import BadInput
from training_app.core.exemplars import family_of
from training_app.core.job import ModelRef


class BadBaseModel(ValueError):
    """The named model cannot be used; the message says in one or two sentences why and what to do."""


@dataclass(frozen=True)
class BaseModel:
    """A usable model folder. `digest` is that of `core.digests.digest_model_folder`."""

    name: str
    path: str
    """Relative to MODELS_ROOT, which lies elsewhere on another machine."""
    digest: str
    chat_template: bool
    size_bytes: int
    family: str = ""
    """As config.json names it; worked examples are kept by it."""

    def as_data(self) -> dict[str, Any]:
        """As `Run.base_model` keeps it."""
        return {"name": self.name, "path": self.path, "digest": self.digest, "chat_template": self.chat_template}


def available_names() -> tuple[str, ...]:
    """Names of the folders under MODELS_ROOT that look like models, for the launch form. Reads no weights."""
    root = Path(settings.MODELS_ROOT)
    if not root.is_dir():
        return ()
    return tuple(sorted(folder.name for folder in root.iterdir() if (folder / "config.json").is_file()))


def find_base_model(named: str) -> BaseModel:
    """The model called `named` (a folder's name, or its path under MODELS_ROOT), digested. Raises BadBaseModel."""
    folder = check_folder_of(named)
    name = folder.relative_to(Path(settings.MODELS_ROOT)).as_posix()
    return BaseModel(
        name=name,
        path=name,
        digest=digest_model_folder(folder),
        chat_template=has_chat_template(folder),
        size_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        family=family_of(folder),
    )


def check_folder_of(named: str) -> Path:
    """The folder of the model called `named`, holding all that a stage needs. Reads no weights. Raises BadBaseModel."""
    folder = _folder(named.strip())
    try:
        check_model_folder(ModelRef(folder, folder.relative_to(Path(settings.MODELS_ROOT)).as_posix()))
    except BadInput as error:
        raise BadBaseModel(" ".join(part for part in (error.message, error.advice) if part)) from error
    return folder


def folder_of(base_model: Mapping[str, Any]) -> Path:
    """Where the base model of a run lies on this machine."""
    return Path(settings.MODELS_ROOT) / str(base_model["path"])


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer in `folder` brings a chat template; without one the paper's transcript format is used."""
    if (folder / "chat_template.jinja").is_file():
        return True
    try:
        settings_of_tokenizer = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(settings_of_tokenizer, dict) and bool(settings_of_tokenizer.get("chat_template"))


def _folder(named: str) -> Path:
    root = Path(settings.MODELS_ROOT)
    if not named and not available_names():
        raise BadBaseModel(
            f"There is no model folder under {root} yet. "
            "Run `make setup` for the bundled model, or put or link one there."
        )
    if not named:
        raise BadBaseModel("No base model is chosen. Choose one of the folders under MODELS_ROOT.")
    wanted = Path(named)
    if "\x00" in named or ".." in wanted.parts or (wanted.is_absolute() and not wanted.is_relative_to(root)):
        raise BadBaseModel(f"The model {named!r} does not lie under {root}. Put or link its folder there first.")
    folder = root / wanted
    if folder == root or not _is_folder(folder):
        raise BadBaseModel(
            f"There is no model folder {named!r} under {root}. "
            "Run `make setup` for the bundled model, or put or link a folder there."
        )
    return folder


def _is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name that no file system can hold (too long, say) is none."""
    try:
        return path.is_dir()
    except OSError:
        return False
