"""Questions to the database that are composed once in a process and asked often.

A page asks seven to ten questions that are always the same but for a few values. Django composes each anew, which
takes longer than PostgreSQL needs to answer it: of 16 ms of a label's page five (docs/lab-notes.md, 28 November 2026).
What differs from one time to the next is named with `Later` where the value would stand:

    ITEM = Composed(lambda: QueueItem.objects.select_related("queue").filter(pk=Later("item")))
    ITEM.first(item=7)

It gives what the query set would, in the same way: what is kept is Django's compiler after it has composed. Where the
settings keep connections, the server keeps the statement's plan, too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, Field, ForeignObject, Lookup, QuerySet

Row = TypeVar("Row")


class Later(Expression):
    """A value that is given when the question is asked, under this name. It is sent as it is, so give what a column
    takes: a key, not an object."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


@ForeignObject.register_lookup
@Field.register_lookup
class Among(Lookup[Any]):
    """`field__among=Later("keys")`: equal to one of a list. As `in`, but one value however long the list is."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        lhs, before = self.process_lhs(compiler, connection)
        keys, values = compiler.compile(self.rhs)
        return f"{lhs} = ANY({keys})", (*before, *values)


class Composed(Generic[Row]):
    """A query set whose statement is kept. `compose` is called once, when the question is first asked."""

    def __init__(self, compose: Callable[[], QuerySet[Any, Row]]) -> None:
        self.compose = compose

    def first(self, **given: object) -> Row | None:
        """The first row; None where there is none. For questions that end with one, as by a key or `[:1]`."""
        found = self.all(**given)
        return found[0] if found else None

    def all(self, **given: object) -> list[Row]:
        """Every row, asked for now. One query. Raises KeyError where a value is missing."""
        question, compiler, _, _ = self._kept
        sql, values = self.statement(**given)

        def composed(using: str, **_: Any) -> Any:
            known = copy.copy(compiler)  # it knows its columns since it has composed
            known.connection = connections[using]
            known.execute_sql = lambda *_, **__: _answer(known.connection, sql, values)
            return known

        asked: Any = question.all()  # the same question, nothing read yet; its compiler is the one that has composed
        asked.query.get_compiler = composed
        return list(asked)

    def statement(self, **given: object) -> tuple[str, list[Any]]:
        """The SQL and its values, to stand within another statement. Raises KeyError where a value is missing."""
        _, _, sql, values = self._kept
        return sql, [given[one.name] if isinstance(one, Later) else one for one in values]

    @cached_property
    def _kept(self) -> tuple[QuerySet[Any, Row], Any, str, Sequence[Any]]:
        question = self.compose()
        compiler = question.query.get_compiler(using=DEFAULT_DB_ALIAS)
        sql, values = compiler.as_sql()
        compiler.connection = None  # that of the thread which asked first
        return question, compiler, sql, values


def asked_often(statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """All rows of a statement written by hand, whose plan the server keeps as it keeps those of composed ones."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    with connection.prepared_cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _answer(connection: Any, sql: str, values: Sequence[Any]) -> list[Any]:
    """All rows, in one block, as a compiler gives them."""
    with connection.prepared_cursor() as cursor:
        cursor.execute(sql, values)
        return [cursor.fetchall()]
