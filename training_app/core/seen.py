"""Which keys were seen before, and where: for files of any length, in memory that does not grow.

Keys stand in a temporary database of SQLite, which keeps a few megabytes in memory and the rest in a file that has no
name and goes with the process.
"""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

CACHE_KIB = 8192


class Seen:
    """First places of keys, each key of some kind. Used in a `with`."""

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        for words in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", f"cache_size=-{CACHE_KIB}"):
            self._base.execute(f"PRAGMA {words}")
        self._base.execute(
            "CREATE TABLE seen (kind TEXT, key TEXT, place INTEGER, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )

    def first(self, kind: str, key: str, place: int) -> int:
        """Where this key was seen first: `place`, where it is new."""
        if self._base.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (kind, key, place)).rowcount:
            return place
        found = self._base.execute("SELECT place FROM seen WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return int(found[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()
