"""Which code on which machine: what a manifest says of the circumstances, as far as it can be found out."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

DISTRIBUTION = "constitution-studio"


def code_version() -> dict[str, str | None]:
    """The program's version and, in a git checkout that holds this very file, its commit ("+" marks local changes)."""
    return {"version": _version(), "commit": _commit()}


def hardware(device: str) -> dict[str, Any]:
    """The device as people read it, and the machine around it."""
    return {
        "device": device,
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "machine": platform.machine(),
        "system": platform.system(),
    }


def _version() -> str:
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return _version_of_checkout()


def _version_of_checkout() -> str:
    try:
        text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(text)["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "unknown"


def _commit() -> str | None:
    commit = _git("rev-parse", "HEAD")
    if commit is None or _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        answer = subprocess.run(
            [git, "-C", str(Path(__file__).resolve().parent), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
