"""Questions to the database that are composed once in a process and asked often.

Composing a statement out of a query set takes the processor longer than asking it, so what every page asks is composed
the first time only. What differs from one time to the next is named with `Later` where the value would stand:

    ITEM = Composed(lambda: QueueItem.objects.select_related("queue").filter(pk=Later("item")))
    ITEM.first(item=7)

It gives what the query set would: rows with what was selected beside them, or tuples for `values_list`. It follows
`ModelIterable` of Django 5.2, whose parts have no documentation: tests/constitutions_app/test_composed.py holds both
against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Expression, QuerySet
from django.db.models.query import ModelIterable, ValuesListIterable, get_related_populators

Row = TypeVar("Row")


class Later(Expression):
    """A value that is given when the question is asked, under this name. It is sent as it is, so give what a column
    takes: a key, not an object."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Composed(Generic[Row]):
    """A query set whose statement is kept. `compose` is called once, when the question is first asked."""

    def __init__(self, compose: Callable[[], QuerySet[Any, Row]]) -> None:
        self.compose = compose

    def first(self, **given: object) -> Row | None:
        """The first row; None where there is none. For questions that end with one, as by a key or `[:1]`."""
        found = self.all(**given)
        return found[0] if found else None

    def all(self, **given: object) -> list[Row]:
        """Every row. Raises KeyError where a value is missing."""
        kept = self._kept
        values: list[Any] = [given[one.name] if isinstance(one, Later) else one for one in kept.values]
        with connection.cursor() as cursor:
            cursor.execute(kept.sql, values)
            rows = cursor.fetchall()
        return kept.read(rows)

    @cached_property
    def _kept(self) -> _Kept[Row]:
        return _Kept(self.compose())


class _Kept(Generic[Row]):
    """A composed statement, and how its rows are read."""

    def __init__(self, queryset: QuerySet[Any, Row]) -> None:
        self.compiler = queryset.query.get_compiler(connection=connection)
        self.sql, values = self.compiler.as_sql()
        self.values: Sequence[Any] = values
        self.converters = self.compiler.get_converters([column[0] for column in self.compiler.select])
        self.reads_rows = queryset._iterable_class is ModelIterable
        if not self.reads_rows and queryset._iterable_class is not ValuesListIterable:
            raise TypeError("Only rows and tuples are read here.")
        if self.reads_rows:
            info = self.compiler.klass_info
            self.model = info["model"]
            self.start, self.end = info["select_fields"][0], info["select_fields"][-1] + 1
            self.names = [column[0].target.attname for column in self.compiler.select[self.start : self.end]]
            populators: Any = get_related_populators  # the stubs are those of a later Django, with one argument more
            self.beside = populators(info, self.compiler.select, connection.alias)

    def read(self, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Rows of the table, or tuples, out of what the database answered."""
        converted = self.compiler.apply_converters(rows, self.converters) if self.converters else rows
        return [self._row(values) for values in converted] if self.reads_rows else [tuple(one) for one in converted]

    def _row(self, values: Sequence[Any]) -> Any:
        row = self.model.from_db(connection.alias, self.names, values[self.start : self.end])
        for one in self.beside:
            one.populate(values, row)
        for name, place in (self.compiler.annotation_col_map or {}).items():
            setattr(row, name, values[place])
        return row
