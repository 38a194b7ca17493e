from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import QueryDict
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from tests.training_app import factories
from training_app.models import Prompt
from training_app.views.paging import Page, filters_in, page_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def prompts(ada: User) -> list[int]:
    """Eleven prompts, two on each position but one: only position and id together are unique."""
    made = factories.prompt_set("helpful", ["x"] * 11, slug="s")
    rows = [Prompt(prompt_set=made, key=f"k{n}", position=n // 2 + 100, text=str(n)) for n in range(11)]
    return [one.pk for one in Prompt.objects.bulk_create(rows)]


def page(query: str, *, newest_first: bool = False) -> Page[Prompt]:
    request = RequestFactory().get(f"/?{query}")
    rows = Prompt.objects.filter(position__gte=100)
    return page_of(rows, request, by=("position", "pk"), newest_first=newest_first, size=4)


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_cover_every_row_once_in_both_directions(prompts: list[int], newest_first: bool) -> None:
    order = prompts[::-1] if newest_first else prompts
    there, back = [page("", newest_first=newest_first)], []
    while there[-1].next:
        there.append(page(there[-1].next.lstrip("?"), newest_first=newest_first))
    assert [row.pk for one in there for row in one.rows] == order
    assert [len(one.rows) for one in there] == [4, 4, 3]
    back.append(there[-1])
    while back[-1].previous:
        back.append(page(back[-1].previous.lstrip("?"), newest_first=newest_first))
    assert [row.pk for one in reversed(back) for row in one.rows] == order
    assert there[0].is_first and not there[1].is_first


def test_a_page_is_one_query_with_a_row_value_comparison(prompts: list[int]) -> None:
    with CaptureQueriesContext(connection) as captured:
        page("after=102.5")
    [query] = captured.captured_queries
    assert '("training_app_prompt"."position", "training_app_prompt"."id") > (102, 5)' in query["sql"]
    assert "OFFSET" not in query["sql"] and "COUNT" not in query["sql"]


@pytest.mark.parametrize(
    "query", ["after=", "after=1", "after=1.2.3", "after=x.y", "after=-1.2", "after=9.9' OR 1=1", "before=%00",
              "after=99999999999999999999999.1", "after=9223372036854775808.1", "after=\u0663.1"],
)  # fmt: skip
def test_a_cursor_that_is_none_shows_the_first_page(prompts: list[int], query: str) -> None:
    assert [row.pk for row in page(query).rows] == prompts[:4]


def test_a_place_behind_the_end_is_an_empty_page(prompts: list[int]) -> None:
    found = page("after=9999.1")
    assert (list(found.rows), found.next, found.previous) == ([], "", "")


def test_filters_go_along_and_places_do_not() -> None:
    assert filters_in(QueryDict("run=1&after=5&flag=&audit=mine")) == "?run=1&audit=mine"
    assert filters_in(QueryDict("after=5")) == ""
    assert filters_in(QueryDict("principle=a%26b")) == "?principle=a%26b"
