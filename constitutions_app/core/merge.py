"""Three-way merge of constitutions: by principle (their stable ids), and inside each text by word.

What only one side did is done: principles added, removed, moved, edited, re-weighted, tags and stages set or taken off,
examples and exemplars added or removed. What both did in the same way is done once. Three things are conflicts, each
carrying all three states: the same words edited in two ways, the same weight or link set to two values, and a principle
that one side edited and the other removed. Order never conflicts (`merge_order`).

Calling the sides the other way round gives the same result with the names exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, TypeVar

from constitutions_app.core.principles import (
    STAGES,
    Constitution,
    Exemplar,
    Principle,
    Source,
    digest_of_text,
    normalise,
)
from constitutions_app.core.text_merge import Choice, Hunk, TextMerge, Written, merge_text

Kind = Literal["words", "value", "edited_or_removed"]
Value = str | float | bool | Principle | Exemplar | None
"""What one side says; None where it removed the whole item."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", str, float, bool)
Item = TypeVar("Item", Principle, Exemplar)

_Sides = tuple[dict[str, Item], dict[str, Item], dict[str, Item]]
"""The items of base, ours and theirs by their keys."""
_MergeOne = Callable[[str, Item | None, Item, Item], Item]


class Unresolved(ValueError):
    """Some conflicts have no choice yet, or one that does not fit; the message names them."""


@dataclass(frozen=True)
class Conflict:
    """Something both sides changed in different ways. `key` names it for `resolve`; same inputs, same keys."""

    key: str
    kind: Kind
    principle: str
    """The principle's id; empty for the name, the preamble and the exemplars."""
    field: str
    base: Value
    ours: Value
    theirs: Value


@dataclass(frozen=True)
class Merge:
    """The merged constitution and what is open. Until chosen, a conflict stands as ours, and nothing is removed."""

    base: Constitution
    ours: Constitution
    theirs: Constitution
    constitution: Constitution
    conflicts: tuple[Conflict, ...]
    texts: Mapping[str, TextMerge]
    """The texts with open conflicts, in pieces, by the part of the conflicts' keys before the last slash."""


def merge(base: Constitution, ours: Constitution, theirs: Constitution) -> Merge:
    """Merge what `ours` and `theirs` made of `base`."""
    merger = _Merger({})
    merged = merger.constitution(base, ours, theirs)
    return Merge(base, ours, theirs, merged, tuple(merger.conflicts), merger.texts)


def resolve(merged: Merge, choices: Mapping[str, Choice | Written]) -> Constitution:
    """The merged constitution with a choice, by key, for each conflict. Raises Unresolved when one is missing."""
    known = {conflict.key for conflict in merged.conflicts}
    if strange := sorted(set(choices) - known):
        raise Unresolved(f"There is no conflict {strange[0]!r}.")
    merger = _Merger(choices)
    result = merger.constitution(merged.base, merged.ours, merged.theirs)
    if merger.conflicts:
        raise Unresolved(f"Without a choice: {', '.join(conflict.key for conflict in merger.conflicts)}.")
    return result


def merge_order(base: Sequence[K], ours: Sequence[K], theirs: Sequence[K], kept: set[K]) -> list[K]:
    """The kept keys in one order.

    Keys that all three have follow the side that moved them; where both moved keys, every two keys keep the order that
    a side newly gave them. Other keys follow the key before them on their own side; two runs of new keys in one place
    stand in the order of their first keys.
    """
    in_all = kept & set(base) & set(ours) & set(theirs)
    old, mine, other = ([key for key in keys if key in in_all] for keys in (base, ours, theirs))
    if mine in (old, other):
        order = other
    elif other == old:
        order = mine
    else:
        order = _by_majority(old, mine, other)
    place = {key: index for index, key in enumerate(order)}
    runs = [_runs(keys, place, kept) for keys in (ours, theirs)]
    for key in sorted(set(runs[0]) & set(runs[1]), key=str):
        # Both sides added it: it stays at the earlier place, or in the run that comes first by its keys.
        later = max(runs, key=lambda run: (run[key], str(list(run))))
        del later[key]
    merged: list[K] = []
    for index in range(-1, len(order)):
        merged += order[index : index + 1] if index >= 0 else []
        added = [[key for key, after in run.items() if after == index] for run in runs]
        merged += [key for run in sorted(added, key=lambda run: str(run[:1])) for key in run]
    return merged


def _runs(keys: Sequence[K], place: Mapping[K, int], kept: set[K]) -> dict[K, int]:
    """Each kept key that has no place yet, with the place of the nearest key before it that has one, or -1."""
    at = -1
    runs: dict[K, int] = {}
    for key in keys:
        if key in place:
            at = place[key]
        elif key in kept:
            runs[key] = at
    return runs


def _by_majority(base: list[K], ours: list[K], theirs: list[K]) -> list[K]:
    """Each two keys in the order that a side newly gave them, or else in the old one; circles fall back on the base."""
    places = [{key: index for index, key in enumerate(keys)} for keys in (base, ours, theirs)]

    def precedes(left: K, right: K) -> bool:
        old, mine, other = (place[left] < place[right] for place in places)
        return other if mine == old else mine

    wins = {left: sum(precedes(left, right) for right in base if right != left) for left in base}
    return sorted(base, key=lambda key: (-wins[key], places[0][key]))


@dataclass(frozen=True)
class _Place:
    """Where a field stands: the path its conflicts' keys begin with, and the principle's id."""

    path: str = ""
    principle: str = ""


@dataclass
class _Merger:
    """Goes through three constitutions at once; takes the choices given and notes the conflicts that have none."""

    choices: Mapping[str, Choice | Written]
    conflicts: list[Conflict] = field(default_factory=list)
    texts: dict[str, TextMerge] = field(default_factory=dict)

    def constitution(self, base: Constitution, ours: Constitution, theirs: Constitution) -> Constitution:
        """All parts of the three."""
        return Constitution(
            name=self._words(_Place(), "name", base.name, ours.name, theirs.name, filled=True),
            preamble=self._words(_Place(), "preamble", base.preamble, ours.preamble, theirs.preamble),
            principles=self._items("principles", (_by_id(base), _by_id(ours), _by_id(theirs)), self._principle),
            exemplars=self._items(
                "exemplars", (_by_prompt(base), _by_prompt(ours), _by_prompt(theirs)), self._exemplar
            ),
        )

    def _items(self, part: str, sides: _Sides[Item], merge_one: _MergeOne[Item]) -> tuple[Item, ...]:
        merged: dict[str, Item] = {}
        base, ours, theirs = sides
        for key in dict.fromkeys(key for side in sides for key in side):
            old, mine, other = base.get(key), ours.get(key), theirs.get(key)
            path = f"{part}/{key}"
            if mine is not None and other is not None:
                merged[key] = merge_one(path, old, mine, other)
                continue
            alone = mine if mine is not None else other
            if alone is not None and (old is None or self._stays(path, old, mine, other)):
                merged[key] = alone
        order = merge_order(list(base), list(ours), list(theirs), set(merged))
        return tuple(merged[key] for key in order)

    def _stays(self, path: str, old: Item, mine: Item | None, other: Item | None) -> bool:
        """Whether an item that one side removed stays: only when the other side edited it and that was chosen."""
        if old in (mine, other):
            return False
        choice = self.choices.get(path)
        if choice is None:
            part, key = path.split("/", 1)
            principle, name = (key, "") if part == "principles" else ("", "exemplar")
            self.conflicts.append(Conflict(path, "edited_or_removed", principle, name, old, mine, other))
            return True
        if choice not in ("ours", "theirs"):
            raise Unresolved(f"{path}: choose ours or theirs.")
        return (mine if choice == "ours" else other) is not None

    def _principle(self, path: str, old: Principle | None, mine: Principle, other: Principle) -> Principle:
        base = old or Principle(id=mine.id, title="", text="")
        if mine == other or other == base:
            return mine
        if mine == base:
            return other
        at = _Place(path, mine.id)
        sides = (base, mine, other)
        return Principle(
            id=mine.id,
            title=self._words(at, "title", *(side.title for side in sides)),
            text=self._words(at, "text", *(side.text for side in sides)),
            rationale=self._words(at, "rationale", *(side.rationale for side in sides)),
            source=self._source(at, *(side.source for side in sides)),
            tags=merge_members(*(side.tags for side in sides)),
            weight=self._value(at, "weight", *(side.weight for side in sides)),
            strict=self._value(at, "strict", *(side.strict for side in sides)),
            enabled=self._value(at, "enabled", *(side.enabled for side in sides)),
            stages=tuple(stage for stage in STAGES if stage in _members(*(side.stages for side in sides))),
            critique_request=self._words(at, "critique_request", *(side.critique_request for side in sides)),
            revision_request=self._words(at, "revision_request", *(side.revision_request for side in sides)),
            comparison_question=self._words(at, "comparison_question", *(side.comparison_question for side in sides)),
            positive_examples=merge_members(*(side.positive_examples for side in sides)),
            negative_examples=merge_members(*(side.negative_examples for side in sides)),
        )

    def _source(self, at: _Place, base: Source, ours: Source, theirs: Source) -> Source:
        return Source(
            document=self._words(at, "source_document", base.document, ours.document, theirs.document),
            article=self._words(at, "source_article", base.article, ours.article, theirs.article),
            url=self._value(at, "source_url", base.url, ours.url, theirs.url),
        )

    def _exemplar(self, path: str, old: Exemplar | None, mine: Exemplar, other: Exemplar) -> Exemplar:
        base = old or Exemplar(mine.prompt, "", "", "", "", "")
        texts = {
            part.name: self._words(
                _Place(path), part.name, *(str(getattr(side, part.name)) for side in (base, mine, other)), filled=True
            )
            for part in fields(Exemplar)
        }
        return Exemplar(**texts)

    def _words(self, at: _Place, name: str, base: str, ours: str, theirs: str, *, filled: bool = False) -> str:
        """The words of a field. `filled` fields may not end up empty: two sides that leave nothing then conflict."""
        merged = merge_text(base, ours, theirs)
        if filled and not merged.conflicts and not merged.text().strip():
            merged = TextMerge((Hunk(base, ours, theirs),))
        path = f"{at.path}/{name}" if at.path else name
        chosen: dict[int, Choice | Written] = {}
        for number, hunk in enumerate(merged.conflicts):
            key = f"{path}/{number + 1}"
            if key in self.choices:
                chosen[number] = self.choices[key]
            else:
                self.texts[path] = merged
                texts = (hunk.base.strip(), hunk.ours.strip(), hunk.theirs.strip())
                self.conflicts.append(Conflict(key, "words", at.principle, name, *texts))
        text = normalise(merged.text(chosen))
        if filled and not text:
            raise Unresolved(f"{path} would be empty.")
        return text

    def _value(self, at: _Place, name: str, base: V, ours: V, theirs: V) -> V:
        if ours == theirs or theirs == base:
            return ours
        if ours == base:
            return theirs
        key = f"{at.path}/{name}"
        choice = self.choices.get(key)
        if choice is None:
            self.conflicts.append(Conflict(key, "value", at.principle, name, base, ours, theirs))
            return ours
        sides = {"base": base, "ours": ours, "theirs": theirs}
        if not isinstance(choice, str) or choice not in sides:
            raise Unresolved(f"{key}: choose ours, theirs or base.")
        return sides[choice]


def _members(base: Sequence[K], ours: Sequence[K], theirs: Sequence[K]) -> set[K]:
    """What both sides have, and what a side added."""
    old, mine, other = set(base), set(ours), set(theirs)
    return (mine & other) | (mine - old) | (other - old)


def merge_members(base: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    """Lists of texts merged as members in one order. A text that stands twice counts as two members."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    old, mine, other = _numbered(base), _numbered(ours), _numbered(theirs)
    return tuple(text for text, _ in merge_order(old, mine, other, _members(old, mine, other)))


def _numbered(texts: Sequence[str]) -> list[tuple[str, int]]:
    seen: dict[str, int] = {}
    numbered = []
    for text in texts:
        seen[text] = seen.get(text, 0) + 1
        numbered.append((text, seen[text]))
    return numbered


def _by_id(constitution: Constitution) -> dict[str, Principle]:
    return {principle.id: principle for principle in constitution.principles}


def _by_prompt(constitution: Constitution) -> dict[str, Exemplar]:
    """Exemplars have no id: the same prompt is the same exemplar, and one that stands twice counts as two."""
    numbered = _numbered([exemplar.prompt for exemplar in constitution.exemplars])
    names = [f"{digest_of_text(prompt)[:12]}-{number}" for prompt, number in numbered]
    return dict(zip(names, constitution.exemplars, strict=True))


__all__ = [
    "Choice",
    "Conflict",
    "Merge",
    "TextMerge",
    "Unresolved",
    "Written",
    "merge",
    "merge_members",
    "merge_order",
    "merge_text",
    "resolve",
]
