"""Pages of a list by position in its order, so that page ten thousand costs what page one costs.

A page is named in its URL by the row it stands behind (`?after=41.7`) or before (`?before=41.7`): the values of the
ordering columns, joined by dots. The database is asked with a row-value comparison, `(position, id) > (41, 7)`, which
it answers from the index alone; the same question as ORs, or with OFFSET, reads everything in front of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.http import HttpRequest, QueryDict

Row = TypeVar("Row", bound=Model)

PAGE_SIZE = 50
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows of a list, and the query strings of the pages around it ("" where there is none)."""

    rows: Sequence[Row]
    previous: str
    next: str
    is_first: bool


def page_of(
    rows: QuerySet[Row],
    request: HttpRequest,
    *,
    by: Sequence[str] = ("pk",),
    newest_first: bool = False,
    size: int = PAGE_SIZE,
) -> Page[Row]:
    """The page that the URL asks for. `by` names whole-number columns that together are unique, most telling first.

    One query, whichever page it is. A cursor that is not one is ignored: the first page is shown.
    """
    backwards = "before" in request.GET and "after" not in request.GET
    cursor = _cursor(request.GET.get("before" if backwards else "after", ""), len(by))
    backwards = backwards and cursor is not None
    descending = newest_first != backwards
    if cursor is not None:
        compare = TupleLessThan if descending else TupleGreaterThan
        rows = rows.filter(compare(Tuple(*by), cursor))
    found = list(rows.order_by(*(f"-{name}" if descending else name for name in by))[: size + 1])
    more = len(found) > size
    found = found[:size]
    if backwards:
        found.reverse()
    has_previous, has_next = (more, True) if backwards else (cursor is not None, more)
    return Page(
        rows=found,
        previous=_query(request.GET, "before", found[0], by) if has_previous and found else "",
        next=_query(request.GET, "after", found[-1], by) if has_next and found else "",
        is_first=not has_previous,
    )


def filters_in(query: QueryDict) -> str:
    """The filters of a list as a query string, without its place in the order; "" or "?…"."""
    kept = query.copy()
    for name in ("after", "before"):
        kept.pop(name, None)
    for name in [name for name, value in kept.items() if not value]:
        kept.pop(name)
    return f"?{kept.urlencode()}" if kept else ""


def _cursor(text: str, length: int) -> tuple[int, ...] | None:
    parts = text.split(".")
    if len(parts) != length or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    cursor = tuple(int(part[:20]) for part in parts)
    return cursor if max(cursor) <= LARGEST else None


def _query(query: QueryDict, name: str, row: Row, by: Sequence[str]) -> str:
    kept = query.copy()
    kept.pop("after", None)
    kept.pop("before", None)
    kept[name] = ".".join(str(getattr(row, column)) for column in by)
    return f"?{kept.urlencode()}"
