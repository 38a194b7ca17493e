"""The graph of versions as lines and dots: plain numbers that a template writes into an SVG. Nothing here queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from constitutions_app.models import MAIN, Draft, Version

STEP, LANE, LEFT, TOP = 48, 40, 24, 20
"""Distance between versions and between branches, and where the first dot stands, in CSS pixels."""


@dataclass(frozen=True)
class Dot:
    """A version or the draft of a branch, at its place."""

    x: int
    y: int
    label: str
    branch: str
    version: Version | None
    draft: Draft | None


@dataclass(frozen=True)
class Line:
    """From a parent to its child, as the `d` of a path. `merges` for second parents, `open` for a draft's."""

    d: str
    merges: bool
    open: bool


@dataclass(frozen=True)
class Drawing:
    """Everything of one picture; `lanes` are the branches with their heights."""

    width: int
    height: int
    dots: tuple[Dot, ...]
    lines: tuple[Line, ...]
    lanes: tuple[tuple[str, int], ...]


def draw(versions: Sequence[Version], drafts: Sequence[Draft]) -> Drawing:
    """`versions` oldest first; a dot for each, and one at the end for the draft of every branch that is open."""
    branches = _branches(versions, drafts)
    height = {branch: TOP + LANE * row for row, branch in enumerate(branches)}
    dots = {
        version.pk: Dot(LEFT + STEP * place, height[version.branch], str(version), version.branch, version, None)
        for place, version in enumerate(versions)
    }
    end = LEFT + STEP * len(versions)
    tips = [
        Dot(end, height[draft.branch], "draft", draft.branch, None, draft) for draft in drafts if not draft.closed_at
    ]
    return Drawing(
        width=end + STEP,
        height=TOP * 2 + LANE * len(branches),
        dots=(*dots.values(), *tips),
        lines=tuple(_lines(versions, tips, dots)),
        lanes=tuple(height.items()),
    )


def _branches(versions: Iterable[Version], drafts: Iterable[Draft]) -> list[str]:
    """The main branch first, then the others as they first came."""
    return list(dict.fromkeys([MAIN, *(row.branch for row in versions), *(row.branch for row in drafts)]))


def _lines(versions: Iterable[Version], tips: Iterable[Dot], dots: dict[int, Dot]) -> Iterator[Line]:
    for version in versions:
        for parent, merges in ((version.parent_id, False), (version.second_parent_id, True)):
            if parent in dots:
                yield Line(_curve(dots[parent], dots[version.pk]), merges, False)
    for tip in tips:
        for parent, merges in ((tip.draft.base_id, False), (tip.draft.merging_id, True)) if tip.draft else ():
            if parent in dots:
                yield Line(_curve(dots[parent], tip), merges, True)


def _curve(start: Dot, end: Dot) -> str:
    """A straight line in one lane; else one that leaves its lane early and then runs along the child's."""
    if start.y == end.y:
        return f"M{start.x} {start.y}H{end.x}"
    bend = start.x + STEP
    middle = start.x + STEP // 2
    return f"M{start.x} {start.y}C{middle} {start.y} {middle} {end.y} {bend} {end.y}H{end.x}"
