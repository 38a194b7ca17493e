"""The log of a stage: the newest lines, without reading the rest of a long file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

FILE = "log.txt"
LONGEST_LINE = 2000


def tail(path: Path, lines: int = 200) -> list[str]:
    """The last `lines` lines of a text file, oldest first; empty where there is no file. Reads the end only."""
    try:
        with path.open("rb") as file:
            return tail_of(file, lines)
    except FileNotFoundError:
        return []


def tail_of(file: IO[bytes], lines: int = 200) -> list[str]:
    """The same of a file that is open to read."""
    file.seek(0, os.SEEK_END)
    start = max(0, file.tell() - lines * LONGEST_LINE // 8)
    file.seek(start)
    content = file.read()
    found = content.decode("utf-8", errors="replace").splitlines()
    if start > 0:
        found = found[1:]  # most likely only the end of a line
    return [line[:LONGEST_LINE] for line in found[-lines:]]


def last_line(path: Path) -> str:
    """The last line that says something, or "" where there is none."""
    return next((line.strip() for line in reversed(tail(path, 50)) if line.strip()), "")
