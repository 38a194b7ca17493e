from __future__ import annotations

import math

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.training_app import factories
from training_app.curves import MOST, read_curves, smoothed
from training_app.models import MetricPoint, RunStage
from training_app.plots import Point

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(db: None) -> RunStage:
    ada: User = factories.person("ada")
    return factories.queued_run(ada).stages.get(slug="rl")


def put(stage: RunStage, name: str, values: dict[int, float]) -> None:
    MetricPoint.objects.bulk_create(
        MetricPoint(stage=stage, name=name, step=step, value=value) for step, value in values.items()
    )


def test_a_short_curve_comes_whole_and_in_order(stage: RunStage) -> None:
    values = {step: math.sin(step) for step in (5, 1, 3, 9, 8)}
    put(stage, "loss", values)
    curve = read_curves([stage.pk])[stage.pk]["loss"]
    assert curve.points == [Point(step, values[step]) for step in sorted(values)]
    assert curve.means == curve.points
    assert not curve.is_thinned


def test_a_long_curve_is_bounded_and_loses_neither_spikes_nor_ends(stage: RunStage) -> None:
    values = {step: math.sin(step / 40) for step in range(1, 5001)}
    values |= {1: 0.25, 2222: 9.0, 3333: -9.0, 5000: 0.5}
    put(stage, "loss", values)
    curve = read_curves([stage.pk])[stage.pk]["loss"]
    kept = {point.x: point.y for point in curve.points}
    assert len(curve.points) <= MOST
    assert curve.count == 5000 and curve.is_thinned
    assert all(values[int(x)] == y for x, y in kept.items())
    assert {1, 2222, 3333, 5000} <= kept.keys()
    assert [point.x for point in curve.points] == sorted(kept)
    assert sum(point.y for point in curve.means) / len(curve.means) == pytest.approx(
        sum(values.values()) / 5000, abs=0.01
    )


def test_a_spread_becomes_the_band_of_its_curve_also_where_points_are_left_out(stage: RunStage) -> None:
    put(stage, "reward", {step: float(step % 7) for step in range(1, 1001)})
    put(stage, "reward_std", dict.fromkeys(range(1, 1001), 0.5))
    put(stage, "kl_std", {1: 2.0})
    curves = read_curves([stage.pk])[stage.pk]
    assert set(curves) == {"reward", "kl_std"}
    assert all((point.low, point.high) == (point.y - 0.5, point.y + 0.5) for point in curves["reward"].points)


def test_it_takes_as_many_queries_for_many_curves(stage: RunStage) -> None:
    others = list(stage.run.stages.exclude(pk=stage.pk))
    for one in (stage, *others):
        for name in ("loss", "reward", "reward_std"):
            put(one, name, {1: 1.0, 2: 2.0})
    with CaptureQueriesContext(connection) as captured:
        found = read_curves([stage.pk, *(one.pk for one in others)])
    assert len(captured) == 2
    assert all(set(curves) == {"loss", "reward"} for curves in found.values())
    assert read_curves([]) == {}


def test_smoothing_is_the_moving_average_without_the_bias_of_its_beginning() -> None:
    points = [Point(1, 4.0), Point(2, 0.0), Point(3, 8.0)]
    line = smoothed(points, 0.5)
    assert [point.y for point in line] == pytest.approx([4.0, 4 / 3, (0.25 * 4 + 0.5 * 0 + 1 * 8) / 1.75])
    assert smoothed(points, 0.0) == tuple(points)
    assert smoothed([Point(step, 3.0) for step in range(50)], 0.97)[-1].y == pytest.approx(3.0)
