"""What becomes of a save that was made from words which somebody has changed since: field by field, three ways.

A field that only the saving person changed is saved. One that only the others changed keeps their words. Where both
changed it, texts are merged by words (`text_merge.py`) and lists by their members; what cannot be merged so that both
sides' words stand as they were written is a `Clash`, which carries all three states and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constitutions_app.core.merge import merge_members
from constitutions_app.core.principles import normalise
from constitutions_app.core.text_merge import Choice, TextMerge, merge_text

WORDS = frozenset({"title", "text", "rationale", "source_document", "source_article", "preamble"}) | {
    "critique_request",
    "revision_request",
    "comparison_question",
}
"""Fields of running text, which merge by words; exemplars' parts (0-prompt, 0-response …) do as well."""
LISTS = frozenset({"tags", "stages", "positive_examples", "negative_examples"})


@dataclass(frozen=True)
class Clash:
    """A field that both sides changed. `merged` is None where no words can be merged: a number, a yes or no, a link."""

    name: str
    base: Any
    mine: Any
    theirs: Any
    merged: TextMerge | None = None

    @property
    def together(self) -> str | None:
        """Both sides' words as one text, or None where they changed the same words."""
        settled = self.merged is not None and not self.merged.conflicts
        return normalise(self.merged.text()) if self.merged and settled else None

    def kept(self, choice: Choice) -> str:
        """One text with `choice` ("ours": mine, "theirs", "both") wherever both changed the same words."""
        if self.merged is None:
            return str(self.theirs if choice == "theirs" else self.mine)
        return normalise(self.merged.text(otherwise=choice))


@dataclass(frozen=True)
class Settled:
    """A stale save, sorted: what can be saved as it is, what was merged, and what both sides changed."""

    mine: Mapping[str, Any]
    merged: Mapping[str, Any]
    clashes: tuple[Clash, ...]


def settle(base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Settled:
    """Sort the fields of a save `mine` that was made from `base`, where `theirs` is what stands there now.

    A field that `base` does not know was made from words nobody can look up: it clashes, with nothing merged away.
    """
    alone: dict[str, Any] = {}
    together: dict[str, Any] = {}
    clashes: list[Clash] = []
    for name, value in mine.items():
        old, now = base.get(name), theirs[name]
        if value in (now, old):
            continue
        if old == now:
            alone[name] = value
        elif name in LISTS and old is not None:
            together[name] = _members(name, old, value, now)
        else:
            clash = _clash(name, old, value, now)
            if clash.together is None:
                clashes.append(clash)
            else:
                together[name] = clash.together
    return Settled(alone, together, tuple(clashes))


def _clash(name: str, base: Any, mine: Any, theirs: Any) -> Clash:
    is_text = isinstance(mine, str) and isinstance(theirs, str) and (name in WORDS or "-" in name)
    if not is_text or base is None:
        return Clash(name, theirs if base is None else base, mine, theirs)
    return Clash(name, base, mine, theirs, merge_text(base, mine, theirs))


def _members(name: str, base: Sequence[str], mine: Sequence[str], theirs: Sequence[str]) -> list[str]:
    return list(merge_members(tuple(base), tuple(mine), tuple(theirs)))
