"""Read side: two states of a constitution put next to each other, ready to be shown.

Everything here is computed from values already fetched; nothing queries.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from constitutions_app.core import diff, edits
from constitutions_app.core import principles as core
from constitutions_app.models import LedgerEntry

WORDINGS = ("critique_request", "revision_request", "comparison_question")
SHOWN_ELSEWHERE = frozenset({"id", "title", "text", *WORDINGS})


@dataclass(frozen=True)
class WordingDiff:
    """What the model would be sent before and after, and a word for how much of it changed."""

    name: str
    spans: tuple[diff.Span, ...]
    words: str

    @property
    def differs(self) -> bool:
        return any(span.kind != "same" for span in self.spans)


@dataclass(frozen=True)
class PrincipleRow:
    """One changed principle of a comparison. Positions count from 1; spans are the whole text, same parts too."""

    change: diff.PrincipleChange
    title: tuple[diff.Span, ...]
    text: tuple[diff.Span, ...]
    fields: tuple[diff.FieldChange, ...]
    wordings: tuple[WordingDiff, ...]
    edit: edits.Edit | None = None
    """What an edit does to the meaning; None for what was added, removed or only moved."""

    @property
    def key(self) -> str:
        return self.change.item.id

    @property
    def wordings_differ(self) -> bool:
        return any(part.differs for part in self.wordings)

    @property
    def own_wording_changed(self) -> bool:
        """Whether somebody edited a wording itself, rather than the text it is derived from."""
        return any(part.name in WORDINGS for part in self.change.fields)

    @property
    def place(self) -> int:
        position = self.change.new_position
        return 1 + (position if position is not None else self.change.old_position or 0)

    @property
    def moved_words(self) -> str:
        """Where it came from, for example "moved up from 12"; empty when it kept its place among the others."""
        old, new = self.change.old_position, self.change.new_position
        if not self.change.moved or old is None or new is None:
            return ""
        return f"moved {'up' if new < old else 'down' if new > old else ''} from {old + 1}".replace("  ", " ")


@dataclass(frozen=True)
class ExemplarRow:
    """One changed exemplar of a comparison, with every part that differs."""

    change: diff.ExemplarChange
    fields: tuple[diff.FieldChange, ...]

    @property
    def place(self) -> int:
        position = self.change.new_position
        return 1 + (position if position is not None else self.change.old_position or 0)


@dataclass(frozen=True)
class Comparison:
    """A whole comparison: the diff, and what there is to show of it."""

    diff: diff.ConstitutionDiff
    principles: tuple[PrincipleRow, ...]
    exemplars: tuple[ExemplarRow, ...]


def compare(old: core.Constitution, new: core.Constitution, declared: Mapping[str, str] | None = None) -> Comparison:
    """Everything that differs between two constitutions, wordings included.

    `declared`: what people said the edits of the new side's principles are, by key.
    """
    effort = diff.Effort()
    found = diff.diff_constitutions(old, new, effort)
    return Comparison(
        diff=found,
        principles=tuple(_principle_row(change, effort, declared or {}) for change in found.changed_principles),
        exemplars=tuple(
            ExemplarRow(change, change.fields or _whole_exemplar(change)) for change in found.changed_exemplars
        ),
    )


def changes_since(base: core.Constitution | None, draft: core.Constitution) -> frozenset[str]:
    """Ids of the draft's principles that are not word for word in `base`; all of them when there is no base."""
    known = {principle.id: principle for principle in base.principles} if base else {}
    return frozenset(principle.id for principle in draft.principles if known.get(principle.id) != principle)


@dataclass(frozen=True)
class Activity:
    """Neighbouring ledger entries of one person doing one thing to one part, shown as one line. Newest entry first."""

    entry: LedgerEntry
    about: str
    times: int


def grouped_activity(entries: Iterable[LedgerEntry]) -> list[Activity]:
    """Fold saves that follow each other into one line each, in the order given."""
    lines = []
    pairs = ((entry, about(entry)) for entry in entries)
    for _, group in groupby(pairs, key=lambda pair: (pair[0].actor_id, pair[0].verb, pair[1])):
        members = list(group)
        lines.append(Activity(members[0][0], members[0][1], len(members)))
    return lines


def about(entry: LedgerEntry) -> str:
    """Which part of its object an entry is about: a version, a principle, a role; empty when it is the whole."""
    data = json.loads(entry.body)["data"]
    if "version" in data:
        return f"v{data['version']}"
    return str(data.get("title") or data.get("principle") or data.get("role") or "")


def _principle_row(change: diff.PrincipleChange, effort: diff.Effort, declared: Mapping[str, str]) -> PrincipleRow:
    old, new = change.old, change.new
    return PrincipleRow(
        change=change,
        title=diff.diff_words(old.title if old else "", new.title if new else "", effort),
        text=diff.diff_words(old.text if old else "", new.text if new else "", effort),
        fields=tuple(part for part in change.fields if part.name not in SHOWN_ELSEWHERE),
        wordings=tuple(
            WordingDiff(part.name, part.spans, _how_much(part)) for part in diff.diff_wordings(old, new, effort)
        ),
        edit=_edit_of(old, new, declared) if change.fields else None,
    )


def _edit_of(old: core.Principle | None, new: core.Principle | None, declared: Mapping[str, str]) -> edits.Edit | None:
    return edits.classify(old, new, cast(edits.Declared, declared.get(new.id, ""))) if old and new else None


def _how_much(part: diff.FieldChange) -> str:
    if part.old == part.new:
        return "same"
    if not part.old:
        return "new"
    if not part.new:
        return "gone"
    count = part.changed_words
    return f"{count} word{'' if count == 1 else 's'}" if count else "spacing"


def _whole_exemplar(change: diff.ExemplarChange) -> tuple[diff.FieldChange, ...]:
    """All parts of an exemplar that was added or removed; none for one that only moved."""
    if change.kind == "moved":
        return ()
    empty = core.Exemplar("", "", "", "", "", "")
    return diff.diff_exemplars(change.old or empty, change.new or empty)
