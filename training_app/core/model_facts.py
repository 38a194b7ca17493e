"""What a model folder says of itself: how large it is, under which licence, where it came from. Nothing is run.

The licence is the one its README names in its front matter (as Hugging Face's model cards do), else the first line of a
LICENSE file, else "". The number of weights is read from the headers of the safetensors files. A folder fetched from a
hub carries `.source.json`, which `fetch` writes, with the hub's name for it and the commit. What is left out: whether
what is said is true, and licences that were changed by hand.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from training_app.core.digests import model_files
from training_app.core.exemplars import family_of
from training_app.core.manifest import SIZE_LIMIT

SOURCE = ".source.json"
README_LIMIT = 65_536


@dataclass(frozen=True)
class ModelFacts:
    """`parameters` is None where a header cannot be read; `hub` and `revision` are "" for a folder put there."""

    size_bytes: int
    parameters: int | None
    licence: str
    family: str
    hub: str
    revision: str


def facts_of(folder: Path) -> ModelFacts:
    """Read a folder's facts; a file that is not there or cannot be read says nothing."""
    source = _json(folder / SOURCE)
    return ModelFacts(
        size_bytes=sum(path.stat().st_size for path in model_files(folder)),
        parameters=_parameters(folder),
        licence=licence_of(folder)[:100],
        family=family_of(folder),
        hub=str(source.get("hub") or "")[:200],
        revision=str(source.get("revision") or "")[:40],
    )


def licence_of(folder: Path) -> str:
    """The licence by name; "" where nothing says it."""
    named = _front_matter(folder / "README.md").get("license")
    if isinstance(named, str) and named.strip():
        return named.strip()
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md"):
        if (file := folder / name).is_file():
            lines = (line.strip(" #") for line in _beginning(file).splitlines())
            return next((line for line in lines if line), "")
    return ""


def _front_matter(readme: Path) -> Mapping[str, Any]:
    if not readme.is_file() or not (text := _beginning(readme)).startswith("---"):
        return {}
    try:
        data = yaml.safe_load(text.split("---", 2)[1])
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}


def _beginning(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(README_LIMIT).decode("utf-8", "replace")


def _parameters(folder: Path) -> int | None:
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            header = _header(path)
            total += sum(math.prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
        except (OSError, ValueError, KeyError, TypeError, struct.error, RecursionError):
            return None
    return total


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(SIZE_LIMIT, path.stat().st_size):
            raise ValueError("the header is longer than the file allows")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("the header is no object")
    return header


def _json(file: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
