from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutions_app.core.similarity import alike_to_first, cosine_of, pairs_alike, vectors_of
from tests.constitutions_app.strategies import texts

short = st.lists(
    st.sampled_from(["the", "assistant", "helps", "people", "honest", "honestly", "law", "laws", "never"]), max_size=8
)


@given(st.lists(st.one_of(short.map(" ".join), texts), max_size=14), st.sampled_from([0.05, 0.3, 0.6, 0.9]))
def test_it_finds_exactly_the_pairs_that_comparing_all_would_find(items: list[str], threshold: float) -> None:
    vectors = vectors_of(items)
    expected = {
        (i, j): cosine
        for i, j in itertools.combinations(range(len(items)), 2)
        if (cosine := cosine_of(vectors[i], vectors[j])) >= threshold
    }
    found = {(i, j): cosine for i, j, cosine in pairs_alike(items, threshold)}
    # A pair within rounding of the threshold may fall on either side.
    assert all(
        expected[pair] == pytest.approx(threshold) for pair in expected.keys() ^ found.keys() if pair in expected
    )
    assert all(found[pair] == pytest.approx(threshold) for pair in found.keys() - expected.keys())
    assert all(found[pair] == pytest.approx(expected[pair]) for pair in expected.keys() & found.keys())
    if items:
        assert {j for j, _ in alike_to_first(items, threshold)} == {j for i, j in expected if i == 0}


def test_equal_texts_are_wholly_alike_whatever_their_case_and_white_space() -> None:
    ((_, _, cosine),) = pairs_alike(["Be kind to people.", "be  KIND to\npeople."], 0.9)
    assert cosine == pytest.approx(1)


def test_empty_texts_are_like_nothing() -> None:
    assert pairs_alike(["", "", "   "], 0.1) == []
    assert pairs_alike([], 0.1) == []
