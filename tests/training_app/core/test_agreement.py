"""Agreement figures against what others published and computed, and their intervals against simulated truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training_app.core import agreement
from training_app.core.agreement import (
    AC1,
    ALPHA,
    COHEN,
    FLEISS,
    ONE_CATEGORY,
    RAW,
    agreement_among,
    agreement_between,
    more_needed,
    patterns_of,
)
from training_app.core.resampling import ALL_ALIKE, TOO_FEW, bounds
from training_app.core.statistics import Estimate

Figures = Callable[[NDArray[np.float64]], NDArray[np.float64]]

KRIPPENDORFF = (
    (1, 1, 1), (2, 2, 3, 2), (3, 3, 3, 3), (3, 3, 3, 3), (2, 2, 2, 2), (1, 2, 3, 4), (4, 4, 4, 4), (1, 1, 2, 1),
    (2, 2, 2, 2), (5, 5, 5), (1, 1), (3,),
)  # fmt: skip
"""Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: 12 units, 4 observers, missing data."""

FLEISS_TABLE = (
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1), (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
)  # fmt: skip
"""The worked example of Fleiss' kappa that text books and encyclopaedias share: 14 raters, 10 subjects, kappa 0.210."""

PARADOX = {(0, 0): 118, (0, 1): 5, (1, 0): 2, (1, 1): 0}
"""Gwet 2008 on the paradox of kappa: 125 subjects, two raters, raw agreement 0.944, kappa -0.0234, AC1 0.9408."""

ABSTRACTORS = {(0, 0): 13, (1, 1): 20, (1, 2): 7, (2, 1): 4, (2, 2): 56}
"""Two abstractors of 100 charts (Gwet 2014, and irrCAC for R): kappa 0.7964094."""


def among(items: Sequence[Sequence[int]], categories: int) -> dict[str, Estimate]:
    return dict(agreement_among(patterns_of([[one - 1 for one in item] for item in items], categories)).figures)


def value(estimate: Estimate) -> float:
    assert estimate.value is not None, estimate.note
    return estimate.value


def test_krippendorffs_own_example() -> None:
    found = among(KRIPPENDORFF, 5)
    assert value(found[ALPHA]) == pytest.approx(113 / 152, abs=1e-9)  # printed as 0.743
    assert value(found[ALPHA]) == pytest.approx(0.743421052631579, abs=1e-9)  # the package krippendorff 0.9.0


def test_the_same_matrix_gives_the_figures_that_gwet_prints_for_it() -> None:
    found = among(KRIPPENDORFF, 5)
    assert value(found[RAW]) == pytest.approx(9 / 11, abs=1e-9)  # printed as 0.81818
    assert value(found[FLEISS]) == pytest.approx(0.761169275422411, abs=1e-9)  # printed as 0.76117
    assert value(found[AC1]) == pytest.approx(0.77544, abs=5e-6)


def test_the_textbook_example_of_fleiss_kappa() -> None:
    found = agreement_among(Counter(FLEISS_TABLE)).figures
    assert value(found[FLEISS]) == pytest.approx(0.20993070442195522, abs=1e-9)  # printed as 0.210


def test_the_paradox_of_kappa() -> None:
    found = agreement_between(PARADOX, 2).figures
    assert value(found[RAW]) == pytest.approx(0.944, abs=1e-9)
    assert value(found[COHEN]) == pytest.approx(-0.023391812865497, abs=1e-9)  # printed as -0.0234
    assert value(found[AC1]) == pytest.approx(0.940776337608718, abs=1e-9)  # printed as 0.9408


def test_gwets_abstractors() -> None:
    found = agreement_between(ABSTRACTORS, 3).figures
    assert value(found[COHEN]) == pytest.approx(0.7964094, abs=5e-8)


pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60)


@pytest.mark.xdist_group("scipy")
@given(pairs)
def test_cohen_is_what_scikit_learn_computes(rated: list[tuple[int, int]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    first, second = zip(*rated, strict=True)
    found = agreement_between(Counter(rated), 4, resamples=10).figures[COHEN]
    if len({*first, *second}) == 1:
        assert (found.value, found.note) == (None, ONE_CATEGORY)
    else:
        assert value(found) == pytest.approx(cohen_kappa_score(first, second), abs=1e-9)


@given(st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=1, max_size=20))
def test_every_figure_equals_its_definition_in_exact_fractions(rated: list[list[int]]) -> None:
    found = agreement_among(patterns_of(rated, 3), resamples=10).figures
    exact = by_definition([item for item in rated if item], 3)
    for name, expected in exact.items():
        if expected is None:
            assert found[name].value is None
            assert found[name].note
        else:
            assert value(found[name]) == pytest.approx(float(expected), abs=1e-9)


def by_definition(rated: list[list[int]], categories: int) -> dict[str, Fraction | None]:
    """The formulas of Krippendorff 2011 and Gwet 2008, item by item and pair by pair."""
    pairable = [item for item in rated if len(item) > 1]
    if not pairable:
        return dict.fromkeys((RAW, FLEISS, ALPHA, AC1))
    same = [
        Fraction(sum(n * (n - 1) for n in Counter(item).values()), len(item) * (len(item) - 1)) for item in pairable
    ]
    raw = sum(same, Fraction()) / len(pairable)
    parts = [[Fraction(item.count(k), len(item)) for item in rated] for k in range(categories)]
    share = [sum(part, Fraction()) / len(rated) for part in parts]
    chance = sum((one * one for one in share), Fraction())
    gwet = sum((one * (1 - one) for one in share), Fraction()) / (categories - 1)
    chosen: Counter[int] = Counter()
    total = sum(map(len, pairable))
    observed = Fraction()
    for item in pairable:
        apart = sum(a != b for i, a in enumerate(item) for j, b in enumerate(item) if i != j)
        observed += Fraction(apart, len(item) - 1) / total
        chosen.update(item)
    marginal = [chosen[k] for k in range(categories)]
    expected = 1 - Fraction(sum(n * (n - 1) for n in marginal), total * (total - 1))
    return {
        RAW: raw,
        FLEISS: None if chance == 1 else (raw - chance) / (1 - chance),
        ALPHA: None if expected == 0 else 1 - observed / expected,
        AC1: None if gwet == 1 else (raw - gwet) / (1 - gwet),
    }


def test_what_is_undefined_is_said_in_words() -> None:
    nobody = agreement_among({(1, 0): 40}).figures[ALPHA]
    assert (nobody.value, nobody.note) == (None, "no item was rated twice")
    assert agreement_between({}, 2).figures[COHEN].note == "no item was rated twice"
    alike = agreement_among({(2, 0): 40}).figures
    assert (alike[ALPHA].value, alike[ALPHA].note) == (None, ONE_CATEGORY)
    assert (alike[RAW].value, alike[RAW].interval, alike[RAW].note) == (1.0, None, ALL_ALIKE)
    few = agreement_among({(2, 0): 5, (1, 1): 4}).figures[FLEISS]
    assert (few.interval, few.note) == (None, TOO_FEW)


def test_no_disagreement_is_no_proof_of_agreement() -> None:
    found = agreement_between({(0, 0): 20, (1, 1): 20}, 2).figures
    assert (value(found[COHEN]), found[COHEN].interval) == (1.0, None)
    assert found[RAW].interval == pytest.approx((0.9123784, 1.0), abs=1e-6)


def test_the_same_data_give_the_same_interval_in_any_order() -> None:
    cells = {(0, 0): 30, (0, 1): 6, (1, 0): 4, (1, 1): 20}
    again = dict(reversed(cells.items()))
    assert agreement_between(cells, 2, seed=3) == agreement_between(again, 2, seed=3)


def test_patterns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="same categories"):
        agreement_among({(2, 0): 1, (1, 1, 0): 1})


def test_advice_on_how_many_more_items_are_needed() -> None:
    assert more_needed(Estimate(0.6, (0.4, 0.8), 100)) == 300  # twice as narrow takes four times as many
    assert more_needed(Estimate(0.6, (0.55, 0.65), 100)) == 0
    assert more_needed(Estimate(0.6, None, 5)) is None


SIMULATED = 1000
"""Data sets drawn for each design here; benchmarks/coverage.py draws more, of more designs."""


@pytest.mark.parametrize("items", [100, 300])
def test_intervals_of_a_judge_and_people_hold_the_truth_in_93_to_97_of_100(items: int) -> None:
    chance = np.array([0.36, 0.045, 0.045, 0.045, 0.36, 0.045, 0.01, 0.01, 0.08])
    pairs = np.array([(one, other) for one in range(3) for other in range(3)])
    features = agreement.between_features(pairs, 3)
    covered = coverage(chance, features, agreement.between_figures, items)
    assert np.all((covered[1:] >= 0.93) & (covered[1:] <= 0.97)), covered


def test_intervals_among_people_hold_the_truth_in_93_to_97_of_100() -> None:
    kinds = np.array([(2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3), (1, 0)], dtype=float)
    chance = np.array([0.25, 0.1, 0.12, 0.2, 0.09, 0.06, 0.1, 0.08])
    covered = coverage(chance, agreement.among_features(kinds), agreement.among_figures, 150)
    assert np.all((covered >= 0.93) & (covered <= 0.97)), covered


def coverage(
    chance: NDArray[np.float64], features: NDArray[np.float64], figures: Figures, items: int
) -> NDArray[np.float64]:
    """Share of simulated data sets whose interval holds the figure of the whole population, per figure."""
    assert math.isclose(chance.sum(), 1)
    rng = np.random.default_rng(20261127)
    truth = figures(chance * 1e9 @ features)
    drawn = rng.multinomial(items, chance, size=SIMULATED)
    found = bounds(drawn, features, figures, rng=rng, resamples=400)
    return np.asarray(((found.low <= truth) & (truth <= found.high)).mean(axis=0))
