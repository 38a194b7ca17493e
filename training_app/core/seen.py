"""Which keys were seen before, and where: for files of any length, in memory that does not grow.

Keys stand in a temporary database of SQLite, which keeps `CACHE_KIB` in memory and the rest in a file that has no name
and goes with the process. They come in no order, so every one of them touches another page: only while most pages are
in memory is that fast. Therefore a key is kept as the beginning of its digest, some 35 bytes with all that belongs to
it, and the cache holds two million. Two different keys of 12 bytes are alike in one of 10^16 files of a million rows.
"""

from __future__ import annotations

import hashlib
import sqlite3
from types import TracebackType
from typing import Self

CACHE_KIB = 64 * 1024
KEY_BYTES = 12


class Seen:
    """First places of keys, each key of some kind. Used in a `with`."""

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        for words in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", f"cache_size=-{CACHE_KIB}"):
            self._base.execute(f"PRAGMA {words}")
        self._base.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID")
        self._base.execute("BEGIN")  # never ended: to end one, SQLite looks at every changed page in memory

    def first(self, kind: str, key: str, place: int) -> int:
        """Where this key was seen first: `place`, where it is new."""
        short = hashlib.blake2b(f"{kind}\0{key}".encode(), digest_size=KEY_BYTES).digest()
        if self._base.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (short, place)).rowcount:
            return place
        found = self._base.execute("SELECT place FROM seen WHERE key = ?", (short,)).fetchone()
        return int(found[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()
