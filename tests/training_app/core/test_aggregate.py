from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_app.core.aggregate import HOW, Aggregation, Vote, clamped, combined, logit, neither_of, p_of, votes_of

LOGPS = st.floats(-2000, 0)
PS = st.lists(st.sampled_from([0.0, 1.0]) | st.floats(0.001, 0.999), min_size=1, max_size=6)


@given(LOGPS, LOGPS, st.none() | LOGPS)
def test_every_vote_is_a_probability_however_extreme(a: float, b: float, neither: float | None) -> None:
    vote = Vote("ab", a, b, neither)
    assert 0 <= vote.p_a <= 1
    assert Vote("ab", b, a, neither).p_a == pytest.approx(1 - vote.p_a, abs=1e-12)
    assert (vote.p_neither is None) == (neither is None)
    assert 0 <= (vote.p_neither or 0) <= 1


def test_neither_is_one_of_three() -> None:
    third = math.log(1 / 3)
    assert Vote("ab", third, third, third).p_neither == pytest.approx(1 / 3)
    assert Vote("ab", math.log(0.5), math.log(0.1), math.log(0.4)).p_neither == pytest.approx(0.4)


def test_samples_are_averaged_within_an_order_and_orders_after_that() -> None:
    votes = [Vote(order, math.log(p), math.log(1 - p)) for order, p in (("ab", 0.9), ("ab", 0.7), ("ba", 0.2))]
    assert p_of(votes) == pytest.approx((0.8 + 0.2) / 2)
    assert [p_of(votes, "ab"), p_of(votes, "ba")] == pytest.approx([0.8, 0.2])
    assert neither_of(votes) is None
    with pytest.raises(ValueError, match="no asking"):
        p_of(votes[:2], "ba")


@given(PS, st.sampled_from(HOW))
def test_an_aggregate_is_a_probability_and_swapping_the_responses_mirrors_it(ps: list[float], how: str) -> None:
    ones = [1.0] * len(ps)
    found = combined(ps, ones, how)
    assert 0 <= found <= 1
    assert combined([1 - p for p in ps], ones, how) == pytest.approx(1 - found, abs=1e-6)
    if how != "majority":
        assert combined(ps[:1], [3.0], how) == pytest.approx(ps[0], abs=1e-8)


def test_an_unknown_aggregation_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="mean, majority, product"):
        combined([0.5], [1.0], "median")


def test_small_things() -> None:
    assert logit(0.0) == pytest.approx(-logit(1.0)) == pytest.approx(math.log(1e-9), abs=1e-6)
    assert (clamped(0.9, (0.4, 0.6)), clamped(0.9, None)) == (0.6, 0.9)
    assert Aggregation("majority", "ab", (0.4, 0.6)).words() == "majority, A first only, clamped to 0.4-0.6"
    row = {"orders": [{"order": "ab", "logp_a": -1.0, "logp_b": -2.0, "p_a": 0.7}], "votes": []}
    assert votes_of(row) == [Vote("ab", -1.0, -2.0)]
