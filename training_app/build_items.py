"""What dataset builds were made of, counted for a page: as far as a bound, so that it costs the same in any build.

Of each build the first thousand items are read, in their order, through one index. Where a build has more, every figure
is one that there are at least, written "1,000+"; how many rows of which kind a build kept stands in its own rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from training_app.counting import MOST, NONE, UpTo
from training_app.models import Comparison, DatasetBuild, DatasetItem

_COLUMNS = (
    "build_id", "step_id", "step__trace_id", "trace_id", "label_id", "label__judge_id", "comparison_id",
    "comparison__source", "audit_id", "adjudication_id", "label__comparison_id", "step__trace__prompt__prompt_set_id",
    "trace__prompt__prompt_set_id", "label__comparison__prompt__prompt_set_id", "label__comparison__prompt_set_id",
    "comparison__prompt_set_id",
)  # fmt: skip


@dataclass(frozen=True)
class OfSet:
    """What of one prompt set is in a build: prompts whose answers were revised or judged, and rows as they came."""

    revised: UpTo
    judged: UpTo
    rows: UpTo

    @property
    def is_worked_on(self) -> bool:
        """Whether anything of it went through a revision or a label."""
        return bool(self.revised or self.judged)


@dataclass(frozen=True)
class BuildCounts:
    """What the rows of one build are, and how many of them a person changed."""

    revisions: UpTo = NONE
    answers: UpTo = NONE
    labels: UpTo = NONE
    human: UpTo = NONE
    changed: UpTo = NONE
    adjudicated: UpTo = NONE
    """Of the changed: those that somebody's last word changed."""
    sets: Mapping[int, OfSet] = field(default_factory=dict)
    """By prompt set, in the order in which the build takes them up."""

    @property
    def changes(self) -> tuple[str, ...]:
        """What people changed, in words; empty for nothing."""
        if not self.changed:
            return ()
        last = f", {self.adjudicated} by adjudication" if self.adjudicated else ""
        return (f"{self.changed} changed by people{last}",)


@dataclass(frozen=True)
class Seen:
    """The items of some builds that were looked at, each once, by primary keys; `is_more` where there are others."""

    traces: frozenset[int]
    steps: frozenset[int]
    labels: frozenset[int]
    human: frozenset[int]
    judges: frozenset[int]
    changed: int
    """Verdicts that changed a row."""
    of_build: Mapping[int, BuildCounts]
    is_more: bool


class _Item(NamedTuple):
    """One item of a build, by primary keys; in the order of `_COLUMNS`."""

    build: int
    step: int | None
    step_trace: int | None
    trace: int | None
    label: int | None
    judge: int | None
    comparison: int | None
    source: str | None
    audit: int | None
    adjudication: int | None
    judged: int | None
    step_set: int | None
    trace_set: int | None
    judged_set: int | None
    judged_human_set: int | None
    human_set: int | None

    @property
    def prompt_set(self) -> int | None:
        return self.step_set or self.trace_set or self.judged_set or self.judged_human_set or self.human_set

    @property
    def human(self) -> int | None:
        return self.comparison if self.source == Comparison.Source.HUMAN else None


def items_of(builds: Sequence[DatasetBuild]) -> Seen:
    """What these builds were made of, as far as the bound. One query, none without builds."""
    found: dict[int, list[_Item]] = {build.pk: [] for build in builds}
    for item in _first_of(builds):
        found[item.build].append(item)
    more = {build for build, items in found.items() if len(items) > MOST}
    of_build = {build: _counts(items[:MOST], build in more) for build, items in found.items() if items}
    every = [item for items in found.values() for item in items[:MOST]]
    by_rule = {one.adjudication for one in every if one.audit is None}
    return Seen(
        traces=_keys(one.trace for one in every) | _keys(one.step_trace for one in every),
        steps=_keys(one.step for one in every),
        labels=_keys(one.label for one in every),
        human=_keys(one.human for one in every),
        judges=_keys(one.judge for one in every),
        changed=len(_keys(one.audit for one in every)) + len(_keys(by_rule)),
        of_build=of_build,
        is_more=bool(more),
    )


def _keys(found: Iterable[int | None]) -> frozenset[int]:
    return frozenset(one for one in found if one is not None)


def _first_of(builds: Sequence[DatasetBuild]) -> list[_Item]:
    """The first items of each build, and one more than the bound where there are more."""
    each = [DatasetItem.objects.filter(build=build).values_list(*_COLUMNS)[: MOST + 1] for build in builds]
    rows: Any = each[0].union(*each[1:], all=True) if each else ()
    return [_Item(*row) for row in rows]


def _counts(items: Sequence[_Item], is_more: bool) -> BuildCounts:
    def there(found: Iterable[int | None]) -> UpTo:
        return UpTo(sum(one is not None for one in found), is_more)

    return BuildCounts(
        revisions=there(one.step for one in items),
        answers=there(one.trace for one in items),
        labels=there(one.label for one in items),
        human=there(one.human for one in items),
        changed=there(one.audit or one.adjudication for one in items),
        adjudicated=there(one.adjudication for one in items),
        sets=_sets(items, is_more),
    )


def _sets(items: Iterable[_Item], is_more: bool) -> dict[int, OfSet]:
    by_set: dict[int, list[_Item]] = {}
    for item in items:
        if item.prompt_set is not None:
            by_set.setdefault(item.prompt_set, []).append(item)
    return {
        one: OfSet(
            revised=UpTo(len(_keys(item.step_trace for item in its)), is_more),
            judged=UpTo(len(_keys(item.judged for item in its)), is_more),
            rows=UpTo(len(_keys(item.trace or item.human for item in its)), is_more),
        )
        for one, its in by_set.items()
    }
