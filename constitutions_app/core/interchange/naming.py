"""Stable ids and short titles for principles whose file has none, or has some that cannot serve as they are."""

from __future__ import annotations

import re
import unicodedata

MAX_ID = 80
MAX_TITLE = 200
MAX_TAG = 60
MAX_DOCUMENT = 300
MAX_ARTICLE = 200

_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_-]+")


class Ids:
    """Hands out ids that are unique within one import: letters, digits, hyphens and underscores, at most 80."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def keep(self, wanted: str, fallback: str) -> str:
        """`wanted` as it stands in the file, as far as an id may look like that; `fallback` when nothing is left."""
        ascii_only = unicodedata.normalize("NFKD", wanted).encode("ascii", "ignore").decode("ascii")
        clean = _NOT_IN_AN_ID.sub("-", ascii_only).strip("-")[:MAX_ID].strip("-")
        return self._unique(clean or fallback)

    def from_text(self, text: str, fallback: str) -> str:
        """An id made of the first words of `text`, in small letters."""
        words = _NOT_IN_AN_ID.sub(
            " ", unicodedata.normalize("NFKD", text[:400]).encode("ascii", "ignore").decode("ascii")
        )
        short = ""
        for word in words.lower().split():
            if len(short) + len(word) > 48:
                break
            short = f"{short}-{word}" if short else word
        return self._unique(short.strip("-_") or fallback)

    def _unique(self, wanted: str) -> str:
        if wanted not in self._taken:
            self._taken.add(wanted)
            return wanted
        number = self._next.get(wanted, 2)
        while (numbered := f"{wanted[: MAX_ID - 8]}-{number}") in self._taken:
            number += 1
        self._next[wanted] = number + 1
        self._taken.add(numbered)
        return numbered


def short(text: str, limit: int) -> str:
    """`text` on one line and cut to `limit` characters, with an ellipsis where something was cut."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def title_from(text: str) -> str:
    """The first words of a rule, as its title: at most some sixty characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= 64:
        return line.rstrip(".")
    head = line[:63]
    return (head.rsplit(" ", 1)[0] if " " in head else head).rstrip(" ,;:.") + "…"
