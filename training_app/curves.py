"""Curves of stages out of the database: at most `MOST` points each, however long a stage trained.

PostgreSQL cuts a curve into stretches of as many points each and keeps the lowest and the highest of every stretch, the
first and the last of all, and each stretch's mean. So no spike is lost, and a week of training costs what an hour does.
A smoothed curve is the exponential moving average of the means, with the bias of its beginning taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Q

from training_app.models import MetricPoint
from training_app.plots import Point

MOST = 400
STRETCHES = MOST // 2 - 1
"""Two points of each stretch, and the two ends of the curve."""

SPREAD = "_std"
"""The curve "reward_std" is the spread of "reward": drawn as its band."""


@dataclass
class Measured:
    """One curve: its kept points in order, the means of its stretches, and how many points there are in all."""

    points: list[Point] = field(default_factory=list)
    means: list[Point] = field(default_factory=list)
    count: int = 0

    @property
    def is_thinned(self) -> bool:
        return self.count > len(self.points)


Curves = dict[str, Measured]


def read_curves(stages: Sequence[int]) -> dict[int, Curves]:
    """By stage and name, every curve of these stages. One query, or two where a curve has a spread."""
    found: dict[int, Curves] = {pk: {} for pk in stages}
    for stage, name, count, mean_x, mean_y, ends in _stretches(stages):
        curve = found[stage].setdefault(name, Measured())
        kept = {x: Point(x, y) for x, y in ends if x is not None and y is not None}
        curve.points += [kept[x] for x in sorted(kept)]
        curve.means.append(Point(mean_x, mean_y))
        curve.count += count
    _add_spreads(found)
    return found


def smoothed(points: Iterable[Point], weight: float) -> tuple[Point, ...]:
    """The exponential moving average: each value weighs `weight` (0 to below 1) times the one after it."""
    total = norm = 0.0
    line = []
    for point in points:
        total = weight * total + (1 - weight) * point.y
        norm = weight * norm + (1 - weight)
        line.append(Point(point.x, total / norm))
    return tuple(line)


_Stretch = tuple[int, str, int, float, float, list[tuple[float | None, float | None]]]


def _stretches(stages: Sequence[int]) -> Iterable[_Stretch]:
    """Stage, name, points, mean step, mean value, and the kept ends of every stretch, in the order of its steps."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH cut AS (
                SELECT stage_id, name, step, value,
                       ntile(%s) OVER (PARTITION BY stage_id, name ORDER BY step) AS stretch,
                       row_number() OVER (PARTITION BY stage_id, name ORDER BY step) AS place,
                       count(*) OVER (PARTITION BY stage_id, name) AS points
                FROM training_app_metricpoint WHERE stage_id = ANY(%s)
            )
            SELECT stage_id, name, count(*), avg(step)::float, avg(value),
                   (array_agg(step ORDER BY value, step))[1], min(value),
                   (array_agg(step ORDER BY value DESC, step))[1], max(value),
                   max(step) FILTER (WHERE place = 1), max(value) FILTER (WHERE place = 1),
                   max(step) FILTER (WHERE place = points), max(value) FILTER (WHERE place = points)
            FROM cut GROUP BY stage_id, name, stretch ORDER BY stage_id, name, stretch
            """,
            [STRETCHES, list(stages)],
        )
        for stage, name, count, mean_x, mean_y, *ends in cursor.fetchall():
            yield stage, name, count, mean_x, mean_y, list(zip(ends[::2], ends[1::2], strict=True))


def _add_spreads(found: Mapping[int, Curves]) -> None:
    """Give a curve's points their band where another curve holds its spread; the spreads are no curves then."""
    wanted = Q()
    for stage, curves in found.items():
        for name in [name for name in curves if f"{name}{SPREAD}" in curves]:
            steps = [int(point.x) for point in curves[name].points]
            wanted |= Q(stage=stage, name=f"{name}{SPREAD}", step__in=steps)
            del curves[f"{name}{SPREAD}"]
    if not wanted:
        return
    width: dict[tuple[int, str], dict[float, float]] = {}
    for stage, name, step, value in MetricPoint.objects.filter(wanted).values_list("stage", "name", "step", "value"):
        width.setdefault((stage, name.removesuffix(SPREAD)), {})[step] = value
    for (stage, name), spread in width.items():
        curve = found[stage][name]
        curve.points = [
            Point(one.x, one.y, one.y - spread[one.x], one.y + spread[one.x]) if one.x in spread else one
            for one in curve.points
        ]
