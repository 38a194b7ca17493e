from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from training_app.plots import MOST_POINTS, MOST_TABLE_ROWS, Curve, Point, draw, log_ticks, nice_ticks, number, thinned

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


def line(*values: float) -> tuple[Point, ...]:
    return tuple(Point(step, value) for step, value in enumerate(values, start=1))


def test_nothing_to_draw_is_no_plot() -> None:
    assert draw("loss", "Loss", []) is None
    assert draw("loss", "Loss", [Curve("a", ())]) is None
    assert draw("loss", "Loss", [Curve("a", line(math.nan, math.inf))]) is None


def test_axes_follow_the_data() -> None:
    plot = draw("loss", "Loss", [Curve("training", line(2.31, 1.8, 1.42))])
    assert plot is not None
    assert [tick.label for tick in plot.y_ticks] == ["1", "1.5", "2", "2.5"]
    assert [tick.label for tick in plot.x_ticks] == ["1", "3"]
    assert plot.now == "1.42"
    assert plot.summary == "Loss, step 1 to 3, from 2.31 to 1.42"


def test_one_point_is_a_dot_with_an_axis_around_it() -> None:
    plot = draw("loss", "Loss", [Curve("training", line(5))])
    assert plot is not None
    assert plot.summary == "Loss, 5 at step 1"
    assert len(plot.x_ticks) == 1
    assert "nan" not in plot.lines[0].path


def test_several_lines_are_named_at_their_ends_without_overlap() -> None:
    curves = [Curve("training", line(2, 1)), Curve("held out", line(2.1, 1.01)), Curve("other", line(0, 1))]
    plot = draw("loss", "Loss", curves)
    assert plot is not None
    heights = sorted(float(one.label_y) for one in plot.lines)
    assert all(upper - lower >= 12.9 for lower, upper in pairwise(heights))
    assert plot.is_labelled


def test_intervals_become_a_band_only_when_every_point_has_one() -> None:
    points = (Point(1, 1, 0.5, 1.5), Point(2, 2, 1.5, 2.5))
    whole = draw("reward", "Reward", [Curve("training", points)])
    half = draw("reward", "Reward", [Curve("training", (*points, Point(3, 3)))])
    assert whole is not None and half is not None
    assert re.fullmatch(r"M[\d. L]+Z", whole.lines[0].band)
    assert half.lines[0].band == ""
    assert whole.rows[0].cells == ("1 [0.5, 1.5]",)


def test_a_long_curve_is_thinned_without_losing_a_spike() -> None:
    points = [Point(step, 1000.0 if step == 7777 else math.sin(step)) for step in range(20_000)]
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS
    assert max(kept, key=lambda point: point.y).x == 7777
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert [point.x for point in kept] == sorted(point.x for point in kept)


def test_the_table_says_how_many_rows_it_leaves_out() -> None:
    plot = draw("loss", "Loss", [Curve("training", line(*map(float, range(250))))])
    assert plot is not None
    assert len(plot.rows) <= MOST_TABLE_ROWS
    assert len(plot.rows) + plot.rows_left_out == 250
    assert plot.rows[-1].x == "250"


def test_the_table_keeps_lines_apart_where_one_has_no_value() -> None:
    plot = draw("loss", "Loss", [Curve("training", line(3, 2, 1)), Curve("held out", (Point(2, 2.5),))])
    assert plot is not None
    assert [row.cells for row in plot.rows] == [("3", ""), ("2", "2.5"), ("1", "")]


def test_the_picture_has_no_style_of_its_own_and_escapes_names() -> None:
    plot = draw("x", "<b>Loss</b>", [Curve("<i>one</i>", line(1, 2)), Curve("two", line(2, 1))])
    svg = render_to_string("training/_plot.html", {"plot": plot})
    assert "style" not in svg
    assert "<b>" not in svg and "<i>" not in svg
    assert 'role="img"' in svg and "<table" in svg
    assert svg.count('class="series s') == 2


@given(FINITE, FINITE)
def test_ticks_are_few_round_and_enclose_the_data(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    reach = (ticks[-1] - ticks[0]) * 1e-6
    assert ticks[0] <= low + reach and ticks[-1] >= high - reach
    assert ticks == sorted(ticks)


@given(st.lists(FINITE, min_size=1, max_size=400))
def test_any_finite_curve_is_drawn_inside_the_picture(values: list[float]) -> None:
    plot = draw("any", "Any", [Curve("training", line(*values))])
    assert plot is not None
    numbers = [float(part) for part in re.findall(r"-?[\d.]+", plot.lines[0].path)]
    assert all(plot.left - 1 <= x <= plot.right + 1 for x in numbers[::2])
    assert all(0 <= y <= plot.height for y in numbers[1::2])


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (3.0, "3"), (1234.0, "1,234"), (1234.5, "1,234"), (0.123456, "0.123"), (2e-05, "2e-05"),
     (-1.5, "\u22121.5"), (1e9, "1,000,000,000")],
)  # fmt: skip
def test_numbers_read_well(value: float, words: str) -> None:
    assert number(value) == words


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=20))
def test_log_marks_enclose_the_data_and_are_few(values: list[float]) -> None:
    marks = log_ticks(min(values), max(values))
    assert 2 <= len(marks) <= 7
    assert marks == sorted(set(marks))
    assert marks[0] <= min(values) * (1 + 1e-6)
    assert marks[-1] >= max(values) * (1 - 1e-6)


def test_a_log_scale_puts_powers_of_ten_equally_far_apart() -> None:
    plot = draw("loss", "Loss", [Curve("training", line(1, 10, 100))], log=True)
    assert plot is not None
    assert plot.note == ""
    heights = [float(part.split(" ")[1]) for part in plot.lines[0].path[1:].split("L")]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)


def test_a_curve_that_reaches_zero_keeps_the_plain_scale_and_says_so() -> None:
    plot = draw("kl", "KL", [Curve("training", line(0, 1, 2))], log=True)
    assert plot is not None
    assert plot.note == "No log scale: some values are 0 or less."
    assert plot.y_ticks[0].label == "0"


def test_a_smoothed_curve_is_drawn_over_its_faint_points() -> None:
    plot = draw("loss", "Loss", [Curve("training", line(5, 1, 5), smooth=line(5, 3, 4))])
    assert plot is not None
    assert plot.now == "4"
    assert plot.lines[0].faint
    assert plot.lines[0].faint != plot.lines[0].path
    assert [row.cells for row in plot.rows] == [("5",), ("1",), ("5",)]  # the table keeps the points


def test_points_and_rows_lead_to_the_samples_of_their_step() -> None:
    plot = draw("reward", "Reward", [Curve("training", line(1, 2, 3))], links={2.0: "/samples/?step=2"})
    assert plot is not None
    assert [(mark.url, mark.label) for mark in plot.marks] == [("/samples/?step=2", "2: 2")]
    assert [row.url for row in plot.rows] == ["", "/samples/?step=2", ""]
