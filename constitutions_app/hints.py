"""Read side of the hints: what `core/lint.py` says of a draft, less what people have put aside."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from constitutions_app import likeness
from constitutions_app.core import principles as core
from constitutions_app.core.lint import Hint, lint, lint_principle
from constitutions_app.core.offsets import to_units
from constitutions_app.models import DismissedHint, Draft
from constitutions_app.models.hint import MAX_WORDS


@dataclass(frozen=True)
class ShownHint:
    """A hint with the words it points at; `start` counts as browsers do, in UTF-16 units of the field's text."""

    hint: Hint
    words: str
    start: int
    place: str

    @property
    def quote(self) -> str:
        """The words, if they are few enough to be shown again."""
        return self.words if 0 < len(self.words) <= 60 else ""


@dataclass(frozen=True)
class Hints:
    """The hints for one principle: those that stand and those put aside."""

    shown: tuple[ShownHint, ...]
    dismissed: tuple[ShownHint, ...]
    likeness: str
    """How near-duplicates were looked for."""


def hints_of(draft: Draft, principle: core.Principle, others: Sequence[core.Principle]) -> Hints:
    """What there is to say of a principle as typed, held against the others of its draft. Three queries at most."""
    alike = likeness.of_one(principle.text, [other.text for other in others])
    aside = _aside(draft.dismissed_hints.filter(key=principle.id))[principle.id]
    found = [_shown(hint, principle) for hint in lint_principle(principle, others, alike)]
    return Hints(
        shown=tuple(one for one in found if (one.hint.slug, one.words) not in aside),
        dismissed=tuple(one for one in found if (one.hint.slug, one.words) in aside),
        likeness=alike.how,
    )


def counts(draft: Draft, working: core.Constitution) -> Counter[str]:
    """How many hints stand for each principle of the draft, by key; "" for the other parts. Three queries at most."""
    aside = _aside(draft.dismissed_hints.all())
    by_id = {principle.id: principle for principle in working.principles}
    counted: Counter[str] = Counter()
    for hint in lint(working, likeness.of_all(principle.text for principle in working.principles)):
        principle = by_id.get(hint.principle)
        if principle is None or (hint.slug, words_at(hint, principle)) not in aside[principle.id]:
            counted[hint.principle] += 1
    return counted


def words_at(hint: Hint, principle: core.Principle) -> str:
    """The words that a hint points at, as far as they are kept; empty when it points at a whole field."""
    return _text(hint, principle)[hint.start : hint.end][:MAX_WORDS]


def _shown(hint: Hint, principle: core.Principle) -> ShownHint:
    start = to_units(_text(hint, principle), hint.start)
    return ShownHint(hint, words_at(hint, principle), start, hint.field.replace("_", " "))


def _text(hint: Hint, principle: core.Principle) -> str:
    value = getattr(principle, hint.field, "")
    return value if isinstance(value, str) else ""


def _aside(rows: Iterable[DismissedHint]) -> defaultdict[str, set[tuple[str, str]]]:
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        found[row.key].add((row.slug, row.words))
    return found
