"""Small multiples as plain geometry: which line goes where, computed on the server, drawn by one template.

`draw` turns curves into a `Drawing` whose numbers `templates/training/_plot.html` writes into SVG attributes; colours
come from classes, so both themes read well, and nothing is asked of another host. Axes follow the data, lines are
labelled directly, intervals are bands, and the numbers themselves stand in a table behind each plot. A curve may have
a smoothed line drawn over its own; points may lead to what was made at that step. What is left out: zooming.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 140
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 12, 22
LABEL_ROOM = 62
"""Width kept free right of the lines when more than one of them is labelled."""

MOST_POINTS = 240
"""A line is thinned to so many points: more than there are pixels to see them on."""

MOST_TABLE_ROWS = 100


@dataclass(frozen=True)
class Point:
    """One value of a curve; `low` and `high` are the ends of its interval, if it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """A named line. Points must be sorted by `x`; values that are not finite are left out.

    `smooth` is the line to follow when there is one; the points are then drawn faintly beneath it.
    """

    label: str
    points: tuple[Point, ...]
    smooth: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where it stands (pixels) and what it says."""

    at: str
    label: str


@dataclass(frozen=True)
class Line:
    """One drawn curve: SVG path data, where its name stands, and its lone point when it has only one.

    `faint` is the path of the points themselves where `path` is their smoothed line.
    """

    number: int
    label: str
    path: str
    band: str
    end_x: str
    end_y: str
    label_y: str
    faint: str = ""


@dataclass(frozen=True)
class Mark:
    """A point that leads somewhere."""

    x: str
    y: str
    label: str
    url: str


@dataclass(frozen=True)
class Row:
    """One row of the table behind a plot; `url` leads to what was made at that step, or is ""."""

    x: str
    cells: tuple[str, ...]
    url: str = ""


@dataclass(frozen=True)
class Drawing:
    """A whole plot, ready to be written into a template."""

    slug: str
    title: str
    now: str
    summary: str
    x_name: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    rows_left_out: int
    is_labelled: bool
    label_x: str
    marks: tuple[Mark, ...] = ()
    note: str = ""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    x_label: int = HEIGHT - 4
    y_label: int = LEFT - 6


@dataclass(frozen=True)
class _Scale:
    """Maps `low`..`high` of the data to `start`..`end` in pixels, by their logarithms where it is told so."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> str:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        share = ((math.log(value) if self.log else value) - low) / (high - low)
        return _pixel(self.start + share * (self.end - self.start))


def draw(
    slug: str,
    title: str,
    curves: Sequence[Curve],
    *,
    x_name: str = "step",
    log: bool = False,
    links: Mapping[float, str] | None = None,
) -> Drawing | None:
    """The plot of some curves over a shared axis; None when there is no finite point to draw.

    `log` asks for a logarithmic scale; a curve with a value at or below 0 keeps the plain one, and the plot says so.
    `links` leads from a step to what was made at it.
    """
    kept = tuple(curve for curve in map(_finite, curves) if curve.points)
    if not kept:
        return None
    points = [point for curve in kept for point in (*curve.points, *curve.smooth)]
    logged = log and all(_low(point) > 0 for point in points)
    right = WIDTH - RIGHT - (LABEL_ROOM if len(kept) > 1 else 0)
    y_marks = (log_ticks if logged else nice_ticks)(min(map(_low, points)), max(map(_high, points)))
    x_low, x_high = min(point.x for point in points), max(point.x for point in points)
    across = _Scale(x_low, x_high if x_high > x_low else x_low + 1, LEFT, right)
    upward = _Scale(y_marks[0], y_marks[-1], HEIGHT - BOTTOM, TOP, logged)
    rows, left_out = _table(kept, links or {})
    return Drawing(
        slug=slug,
        title=title,
        now=", ".join(number(followed(curve)[-1].y) for curve in kept),
        summary=_summary(title, kept, x_name),
        x_name=x_name,
        lines=_lines(kept, across, upward),
        x_ticks=tuple(Tick(across.at(value), number(value)) for value in dict.fromkeys((x_low, x_high))),
        y_ticks=tuple(Tick(upward.at(value), number(value)) for value in y_marks),
        headings=tuple(curve.label for curve in kept),
        rows=rows,
        rows_left_out=left_out,
        is_labelled=len(kept) > 1,
        label_x=_pixel(right + 6),
        marks=_marks(kept[0], across, upward, links or {}),
        note="No log scale: some values are 0 or less." if log and not logged else "",
        right=right,
    )


def nice_ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers (1, 2 or 5 times a power of ten apart) that enclose `low`..`high`."""
    if low == high:
        reach = abs(low) * 0.1 or 1.0
        low, high = low - reach, high + reach
    rough = (high - low) / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(count * step, 12) if step > 1e-9 else count * step for count in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers above 0 that enclose `low`..`high`: 1, 2 and 5 of each power of ten, or powers alone when many."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    fine = [factor * 10.0**power for power in range(first, max(last, first + 1) + 1) for factor in (1, 2, 5)]
    below = max(place for place, mark in enumerate(fine) if mark <= low * (1 + 1e-9))
    above = min((place for place, mark in enumerate(fine) if mark >= high * (1 - 1e-9)), default=len(fine) - 1)
    marks = fine[below : max(above, below + 1) + 1]
    if len(marks) > 6:
        every = math.ceil((last - first) / 5)
        marks = [10.0**power for power in range(first, last + every, every)]
    return marks


def followed(curve: Curve) -> tuple[Point, ...]:
    """The line that the eye follows: the smoothed one where there is one."""
    return curve.smooth or curve.points


def number(value: float) -> str:
    """A number as people read it: whole ones whole, others with three significant digits, tiny ones as 2e-05."""
    if value < 0:
        return f"\N{MINUS SIGN}{number(-value)}"
    if value == int(value) and value < 1e6:
        return f"{int(value):,}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _finite(curve: Curve) -> Curve:
    points, smooth = (
        tuple(point for point in line if math.isfinite(point.x + point.y)) for line in (curve.points, curve.smooth)
    )
    return Curve(curve.label, points, smooth)


def _low(point: Point) -> float:
    return point.y if point.low is None else min(point.low, point.y)


def _high(point: Point) -> float:
    return point.y if point.high is None else max(point.high, point.y)


def _pixel(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _lines(curves: Sequence[Curve], across: _Scale, upward: _Scale) -> tuple[Line, ...]:
    labels = _spread([float(upward.at(followed(curve)[-1].y)) for curve in curves])
    return tuple(
        Line(
            number=place,
            label=curve.label,
            path=_path(points, across, upward),
            band=_band(points, across, upward),
            end_x=across.at(points[-1].x),
            end_y=upward.at(points[-1].y),
            label_y=_pixel(labels[place - 1] + 4),
            faint=_path(thinned(curve.points), across, upward) if curve.smooth else "",
        )
        for place, curve in enumerate(curves, start=1)
        for points in [thinned(followed(curve))]
    )


def _marks(curve: Curve, across: _Scale, upward: _Scale, links: Mapping[float, str]) -> tuple[Mark, ...]:
    return tuple(
        Mark(across.at(point.x), upward.at(point.y), f"{number(point.x)}: {number(point.y)}", links[point.x])
        for point in curve.points
        if point.x in links
    )


def _path(points: Sequence[Point], across: _Scale, upward: _Scale) -> str:
    return "M" + "L".join(f"{across.at(point.x)} {upward.at(point.y)}" for point in points)


def _band(points: Sequence[Point], across: _Scale, upward: _Scale) -> str:
    """The interval of each point as one closed shape; empty unless every point has one."""
    if len(points) < 2 or any(point.low is None or point.high is None for point in points):
        return ""
    above = [f"{across.at(point.x)} {upward.at(_high(point))}" for point in points]
    below = [f"{across.at(point.x)} {upward.at(_low(point))}" for point in reversed(points)]
    return "M" + "L".join(above + below) + "Z"


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """At most `most` points: first, last, and the lowest and highest of each stretch, so that no spike is lost."""
    if len(points) <= most:
        return points
    stretch = math.ceil((len(points) - 2) / ((most - 2) // 2))
    kept = [points[0]]
    for start in range(1, len(points) - 1, stretch):
        part = points[start : min(start + stretch, len(points) - 1)]
        extremes = {min(part, key=lambda point: point.y), max(part, key=lambda point: point.y)}
        kept += sorted(extremes, key=lambda point: point.x)
    return [*kept, points[-1]]


def _spread(heights: Sequence[float], least: float = 13.0) -> list[float]:
    """Label heights moved downwards just so far that no two of them overlap."""
    placed: dict[int, float] = {}
    floor = -math.inf
    for place in sorted(range(len(heights)), key=lambda index: heights[index]):
        floor = placed[place] = max(heights[place], floor + least)
    return [placed[place] for place in range(len(heights))]


def _summary(title: str, curves: Sequence[Curve], x_name: str) -> str:
    """The plot in one sentence, for those who do not see it."""
    parts = []
    for curve in curves:
        first, last = curve.points[0], curve.points[-1]
        name = f"{curve.label}: " if len(curves) > 1 else ""
        if first == last:
            parts.append(f"{name}{number(last.y)} at {x_name} {number(last.x)}")
        else:
            span = f"{x_name} {number(first.x)} to {number(last.x)}"
            parts.append(f"{name}{span}, from {number(first.y)} to {number(last.y)}")
    return f"{title}, {'; '.join(parts)}"


def _table(curves: Sequence[Curve], links: Mapping[float, str]) -> tuple[tuple[Row, ...], int]:
    """Rows by `x`, evenly thinned to `MOST_TABLE_ROWS` (the last one always kept), and how many were left out."""
    cells: dict[float, dict[int, str]] = {}
    for place, curve in enumerate(curves):
        for point in curve.points:
            cells.setdefault(point.x, {})[place] = _cell(point)
    steps = sorted(cells)
    every = math.ceil(len(steps) / MOST_TABLE_ROWS)
    kept = steps[::-1][::every][::-1]
    rows = tuple(
        Row(number(x), tuple(cells[x].get(place, "") for place in range(len(curves))), links.get(x, "")) for x in kept
    )
    return rows, len(steps) - len(kept)


def _cell(point: Point) -> str:
    if point.low is None or point.high is None:
        return number(point.y)
    return f"{number(point.y)} [{number(point.low)}, {number(point.high)}]"
