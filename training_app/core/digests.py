"""sha256 of files and of whole model folders.

A model folder's digest is the sha256 of one line per file, ``<sha256 of the file>  <relative path>\\n``, in the order
of the paths: what ``sha256sum`` prints, so anybody can recompute it with `find`, `sort` and `sha256sum`. Hidden files
and the lineage documents beside the weights (`manifest.json`, `constitution.json`, `model.sig`) are left out: weights,
configuration and tokenizer are what makes the answers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SIGNATURE = "model.sig"
LINEAGE = frozenset({"manifest.json", "constitution.json", SIGNATURE})


def digest_file(path: Path) -> str:
    """sha256 of a file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files that make a model what it is, in the order of their relative paths."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in LINEAGE)
    visible = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(visible, key=lambda path: path.relative_to(folder).as_posix())


def digest_model_folder(folder: Path) -> str:
    """sha256 over the names and contents of a model folder's files (see the top of this file)."""
    lines = hashlib.sha256()
    for path in model_files(folder):
        lines.update(f"{digest_file(path)}  {path.relative_to(folder).as_posix()}\n".encode())
    return lines.hexdigest()
