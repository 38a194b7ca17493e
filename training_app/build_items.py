"""What dataset builds were made of, counted for a page: as far as a bound, so that it costs the same in any build.

Of each build the first thousand items are read, in their order, through one index. Where a build has more, every figure
is one that there are at least, written "1,000+"; how many rows of which kind a build kept stands in its own rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from django.db.models import QuerySet

from training_app.counting import MOST, NONE, UpTo
from training_app.models import Comparison, DatasetBuild, DatasetItem

_COLUMNS = (
    "build_id", "step_id", "step__trace_id", "trace_id", "label_id", "label__judge_id", "comparison_id",
    "comparison__source", "audit_id", "adjudication_id",
)  # fmt: skip


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


def items_of(builds: Sequence[DatasetBuild]) -> Seen:
    """What these builds were made of, as far as the bound. One query, none without builds."""
    rows = list(_first_of(builds))
    found: dict[int, list[tuple[int | str | None, ...]]] = {build.pk: [] for build in builds}
    for build, *row in rows:
        found[build].append(tuple(row))
    more = {build for build, items in found.items() if len(items) > MOST}
    of_build = {build: _counts(items[:MOST], build in more) for build, items in found.items() if items}
    every = [row for items in found.values() for row in items[:MOST]]

    def keys(*places: int) -> frozenset[int]:
        return frozenset(int(row[place]) for row in every for place in places if row[place] is not None)

    human = frozenset(int(row[5]) for row in every if row[5] is not None and row[6] == Comparison.Source.HUMAN)
    changed = len(keys(7)) + len({row[8] for row in every if row[8] is not None and row[7] is None})
    return Seen(keys(1, 2), keys(0), keys(3), human, keys(4), changed, of_build, bool(more))


def _first_of(builds: Sequence[DatasetBuild]) -> QuerySet[DatasetItem, tuple[int | str | None, ...]] | tuple[()]:
    """A row of `_COLUMNS` for the first items of each build, and one more than the bound where there are more."""
    each = [DatasetItem.objects.filter(build=build).values_list(*_COLUMNS)[: MOST + 1] for build in builds]
    return reduce(lambda one, other: one.union(other, all=True), each) if each else ()


def _counts(items: Sequence[tuple[int | str | None, ...]], is_more: bool) -> BuildCounts:
    def there(place: int) -> UpTo:
        return UpTo(sum(row[place] is not None for row in items), is_more)

    human = UpTo(sum(row[6] == Comparison.Source.HUMAN for row in items), is_more)
    return BuildCounts(there(0), there(2), there(3), human, there(7))
