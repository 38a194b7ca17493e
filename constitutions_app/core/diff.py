"""What changed between two constitutions, as plain data; markup is somebody else's business.

Principles are matched by their stable id, then, among those left over, by fewest differing words. What keeps its order
relative to the others has not moved: the principles outside one longest increasing subsequence of new positions have.
`apply(old, diff_constitutions(old, new)) == new` for any two constitutions. Left out: whether a change alters meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, Literal, TypeVar

from constitutions_app.core.principles import Constitution, Exemplar, Principle
from constitutions_app.core.wordings import wordings_for
from constitutions_app.core.words import Effort, Span, SpanKind, diff_words, longest_increasing, rebuild, split_words

__all__ = [
    "ConstitutionDiff",
    "Effort",
    "ExemplarChange",
    "FieldChange",
    "ItemChange",
    "PrincipleChange",
    "Span",
    "SpanKind",
    "apply",
    "diff_constitutions",
    "diff_exemplars",
    "diff_principles",
    "diff_wordings",
    "diff_words",
    "rebuild",
]

ChangeKind = Literal["added", "removed", "edited", "moved", "reweighted", "same"]
Item = TypeVar("Item", Principle, Exemplar)

ALIKE = 0.5
"""Least share of common words (Dice) for two items with different ids to count as one item that was edited."""


class DoesNotApply(ValueError):
    """A diff was applied to a constitution it was not made from."""


@dataclass(frozen=True)
class FieldChange:
    """One field that differs: both values, and for texts the spans between them (empty for other fields)."""

    name: str
    old: Any
    new: Any
    spans: tuple[Span, ...] = ()

    @property
    def changed_words(self) -> int:
        """How many words were added or removed, whichever are more."""
        counts = dict.fromkeys(("same", "added", "removed"), 0)
        for span in self.spans:
            counts[span.kind] += sum(word.text[0].isalnum() for word in split_words(span.text))
        return max(counts["added"], counts["removed"])


@dataclass(frozen=True)
class ItemChange(Generic[Item]):
    """What happened to one item. Positions count from 0 and are None on the side that does not have it."""

    kind: ChangeKind
    old: Item | None
    new: Item | None
    old_position: int | None
    new_position: int | None
    moved: bool = False
    fields: tuple[FieldChange, ...] = ()

    @property
    def item(self) -> Item:
        """The item as it is now, or as it last was."""
        if self.new is not None:
            return self.new
        if self.old is not None:
            return self.old
        raise ValueError("A change has at least one side.")

    @property
    def is_change(self) -> bool:
        return self.kind != "same"


PrincipleChange = ItemChange[Principle]
ExemplarChange = ItemChange[Exemplar]


@dataclass(frozen=True)
class ConstitutionDiff:
    """Everything that differs. `principles` and `exemplars` also hold what stayed the same, in the new order."""

    name: FieldChange | None
    preamble: FieldChange | None
    principles: tuple[PrincipleChange, ...]
    exemplars: tuple[ExemplarChange, ...]

    @property
    def changed_principles(self) -> tuple[PrincipleChange, ...]:
        return tuple(change for change in self.principles if change.is_change)

    @property
    def changed_exemplars(self) -> tuple[ExemplarChange, ...]:
        return tuple(change for change in self.exemplars if change.is_change)

    @property
    def count(self) -> int:
        """How many things changed: principles, exemplars, the preamble, the name."""
        whole = sum(part is not None for part in (self.name, self.preamble))
        return len(self.changed_principles) + len(self.changed_exemplars) + whole

    @property
    def summary(self) -> str:
        """One line for people: "2 added, 3 edited, 1 moved, preamble edited"; "no changes" when there are none."""
        parts = [_counted(self.changed_principles, kind) for kind in ("added", "removed", "edited", "reweighted")]
        moved = sum(change.moved for change in self.principles)
        parts.append(f"{moved} moved" if moved else "")
        parts.append("preamble edited" if self.preamble else "")
        parts.append("renamed" if self.name else "")
        exemplars = len(self.changed_exemplars)
        parts.append(f"{exemplars} exemplar{'' if exemplars == 1 else 's'} changed" if exemplars else "")
        return ", ".join(part for part in parts if part) or "no changes"


def diff_constitutions(old: Constitution, new: Constitution, effort: Effort | None = None) -> ConstitutionDiff:
    """All differences from `old` to `new`, within a bounded amount of work (see `words.Effort`)."""
    effort = effort or Effort()
    return ConstitutionDiff(
        name=_field("name", old.name, new.name, effort),
        preamble=_field("preamble", old.preamble, new.preamble, effort),
        principles=_changes(
            old.principles, new.principles, _matched_principles(old.principles, new.principles), _kind_of, effort
        ),
        exemplars=_changes(
            old.exemplars,
            new.exemplars,
            _matched_exemplars(old.exemplars, new.exemplars),
            lambda changed: "edited",
            effort,
        ),
    )


def diff_principles(old: Principle, new: Principle, effort: Effort | None = None) -> tuple[FieldChange, ...]:
    """The fields in which two principles differ, in the order of the dataclass."""
    return _fields(old, new, effort or Effort())


def diff_exemplars(old: Exemplar, new: Exemplar, effort: Effort | None = None) -> tuple[FieldChange, ...]:
    """The fields in which two exemplars differ, in the order of the dataclass."""
    return _fields(old, new, effort or Effort())


def diff_wordings(
    old: Principle | None, new: Principle | None, effort: Effort | None = None
) -> tuple[FieldChange, ...]:
    """What the model would be sent, before and after, for each of the three wordings, derived ones included.

    Wordings that stay the same are in it too, with one span of kind "same".
    """
    effort = effort or Effort()
    before, after = (wordings_for(side) if side else None for side in (old, new))
    names = ("critique_request", "revision_request", "comparison_question")
    pairs = [(name, getattr(before, name, ""), getattr(after, name, "")) for name in names]
    return tuple(FieldChange(name, left, right, diff_words(left, right, effort)) for name, left, right in pairs)


def apply(old: Constitution, diff: ConstitutionDiff) -> Constitution:
    """The constitution that `diff` leads to from `old`. Raises DoesNotApply when it was made from another one."""
    return Constitution(
        name=_applied_field(old.name, diff.name),
        preamble=_applied_field(old.preamble, diff.preamble),
        principles=_applied(old.principles, diff.principles),
        exemplars=_applied(old.exemplars, diff.exemplars),
    )


def _applied(old: Sequence[Item], changes: Sequence[ItemChange[Item]]) -> tuple[Item, ...]:
    seen = sorted(change.old_position for change in changes if change.old_position is not None)
    if seen != list(range(len(old))):
        raise DoesNotApply(f"The diff speaks of {len(seen)} items, the constitution has {len(old)}.")
    return tuple(_applied_change(old, change) for change in changes if change.new_position is not None)


def _applied_change(old: Sequence[Item], change: ItemChange[Item]) -> Item:
    if change.old_position is None:
        return change.item
    before = old[change.old_position]
    values = {part.name: _applied_field(getattr(before, part.name), part) for part in change.fields}
    return replace(before, **values)


def _applied_field(value: Any, change: FieldChange | None) -> Any:
    if change is None:
        return value
    if value != change.old:
        raise DoesNotApply(f"The {change.name} is not what the diff was made from.")
    return rebuild(change.spans, "new") if change.spans else change.new


def _counted(changes: Sequence[PrincipleChange], kind: ChangeKind) -> str:
    number = sum(change.kind == kind for change in changes)
    return f"{number} {kind}" if number else ""


def _field(name: str, old: Any, new: Any, effort: Effort) -> FieldChange | None:
    if old == new:
        return None
    is_text = isinstance(old, str) and isinstance(new, str) and name != "id"
    return FieldChange(name, old, new, diff_words(old, new, effort) if is_text else ())


def _fields(old: Any, new: Any, effort: Effort) -> tuple[FieldChange, ...]:
    found = (_field(part.name, getattr(old, part.name), getattr(new, part.name), effort) for part in fields(old))
    return tuple(change for change in found if change)


def _kind_of(changed: tuple[FieldChange, ...]) -> ChangeKind:
    return "reweighted" if [part.name for part in changed] == ["weight"] else "edited"


def _changes(
    old: Sequence[Item],
    new: Sequence[Item],
    matches: dict[int, int],
    kind_of: Callable[[tuple[FieldChange, ...]], ChangeKind],
    effort: Effort,
) -> tuple[ItemChange[Item], ...]:
    """All items as changes, in the new order, each removed one after the item it used to follow."""
    ordered = sorted(matches.items())
    kept = longest_increasing([new_position for _, new_position in ordered])
    unmoved = {ordered[index][1] for index in kept}
    old_of = {new_position: old_position for old_position, new_position in matches.items()}

    def change_at(new_position: int) -> ItemChange[Item]:
        after = new[new_position]
        if new_position not in old_of:
            return ItemChange("added", None, after, None, new_position)
        before = old[old_of[new_position]]
        moved = new_position not in unmoved
        changed = () if before == after else _fields(before, after, effort)
        kind: ChangeKind = kind_of(changed) if changed else "moved" if moved else "same"
        return ItemChange(kind, before, after, old_of[new_position], new_position, moved, changed)

    placed: list[tuple[tuple[int, int], ItemChange[Item]]] = [
        ((position, -1), change_at(position)) for position in range(len(new))
    ]
    follows = -1
    for position, item in enumerate(old):
        if position not in matches:
            placed.append(((follows, position), ItemChange("removed", item, None, position, None)))
        elif matches[position] in unmoved:
            follows = matches[position]
    return tuple(change for _, change in sorted(placed, key=lambda pair: pair[0]))


def _matched_principles(old: Sequence[Principle], new: Sequence[Principle]) -> dict[int, int]:
    """Old position → new position: equal ids first, then the most alike of the rest."""
    places = {principle.id: position for position, principle in enumerate(new)}
    matches = {position: places[item.id] for position, item in enumerate(old) if item.id in places}
    return matches | _alike(old, new, matches, lambda item: f"{item.title} {item.text}")


def _matched_exemplars(old: Sequence[Exemplar], new: Sequence[Exemplar]) -> dict[int, int]:
    """Old position → new position: equal exemplars first, then the most alike of the rest."""
    places: dict[Exemplar, list[int]] = {}
    for position in range(len(new) - 1, -1, -1):
        places.setdefault(new[position], []).append(position)
    matches = {position: places[item].pop() for position, item in enumerate(old) if places.get(item)}
    return matches | _alike(old, new, matches, lambda item: f"{item.prompt} {item.response} {item.revision}")


def _alike(
    old: Sequence[Item], new: Sequence[Item], matches: dict[int, int], text_of: Callable[[Item], str]
) -> dict[int, int]:
    """Pair what `matches` leaves over, most alike first; ties go to the earlier positions."""
    taken = set(matches.values())
    left = {position: _word_set(text_of(old[position])) for position in range(len(old)) if position not in matches}
    right = {position: _word_set(text_of(new[position])) for position in range(len(new)) if position not in taken}
    found: dict[int, int] = {}
    used: set[int] = set()
    for _, i, j in sorted(_scored(left, right)):
        if i not in found and j not in used:
            found[i] = j
            used.add(j)
    return found


def _scored(left: dict[int, frozenset[str]], right: dict[int, frozenset[str]]) -> Iterator[tuple[float, int, int]]:
    """Every pair that is alike enough, as (-likeness, old position, new position)."""
    for i, old_words in left.items():
        for j, new_words in right.items():
            shortest, total = min(len(old_words), len(new_words)), len(old_words) + len(new_words)
            if not shortest or 2 * shortest < ALIKE * total:
                continue
            likeness = 2 * len(old_words & new_words) / total
            if likeness >= ALIKE:
                yield -likeness, i, j


def _word_set(text: str) -> frozenset[str]:
    # A likeness of whole texts is decided by their first thousands of words; a 1 MB text costs no more than that.
    return frozenset(word.text.lower() for word in split_words(text[:20_000]))
