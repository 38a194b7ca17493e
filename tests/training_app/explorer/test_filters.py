from __future__ import annotations

from datetime import date

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from training_app.explorer.filters import KINDS, SORTS, Filters


def test_an_address_is_read_and_spelt_back() -> None:
    query = QueryDict("kind=label&version=3&p_from=0.4&p_to=0.6&state=disputed&since=2026-11-01&text=%22two+words%22")
    asked = Filters.from_query(query)
    assert (asked.version, asked.p_from, asked.state, asked.since) == (3, 0.4, "disputed", date(2026, 11, 1))
    assert Filters.from_query(asked.to_query()) == asked
    assert asked.is_active and asked.reveals_judgement and not asked.problems


@pytest.mark.parametrize(
    "query",
    ["version=x", "p_from=2", "state=all", "run=-1", "since=yesterday", "sort=random", "kind=user", "judge=9" * 3,
     "kind=step&p_from=0.4", "kind=comparison&verdict=agree", "like=99999999999999999999", "p_to=nan"],
)  # fmt: skip
def test_what_is_not_understood_filters_nothing_and_is_told(query: str) -> None:
    asked = Filters.from_query(QueryDict(query))
    assert asked.problems
    assert not asked.is_active


@pytest.mark.parametrize("key", ["auditor__password", "facts__facets", "run__created_by__password", "pk", "_connector"])
def test_keys_of_a_user_reach_nothing(key: str) -> None:
    assert Filters.from_query(QueryDict(f"{key}=a")) == Filters()


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=30), max_size=6))
def test_no_address_is_too_odd(given_query: dict[str, str]) -> None:
    asked = Filters.from_query(given_query)
    assert asked.kind in KINDS and asked.sort in SORTS[asked.kind]
    assert Filters.from_query(asked.to_query()) == asked
