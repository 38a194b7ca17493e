"""Between which keys the items of a question lie, as far as an index tells at once.

Runs write their items together, so the items of one lie together, perhaps a million rows away from where a list begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from training_app.explorer.conditions import TABLES, Conditions
from training_app.explorer.tokens import BITS, LARGEST, Fact

_KEYS = {"label": "label_id", "comparison": "comparison_id", "step": "step_id", "audit": "id"}


_ITEMS = {"label": "training_app_ailabel", "comparison": "training_app_comparison", "step": "training_app_tracestep",
          "audit": "training_app_audit"}  # fmt: skip
_COLUMNS = {
    "label": {Fact.PRINCIPLE: "principle_id", Fact.JUDGE: "judge_id", Fact.RUN: "run.number",
              Fact.VERSION: "run.version_id"},
    "comparison": {Fact.RUN: "run.number", Fact.VERSION: "run.version_id"},
    "step": {Fact.PRINCIPLE: "principle_id"},
}  # fmt: skip
"""Facts by which an index of (column, id) tells the ends; those of a run go through the runs."""
_BEGINNING, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_MOST = 40
"""So many tokens of a group are looked up; a longer group is taken to lie anywhere."""


def bounds_of(kind: str, asked: Conditions) -> tuple[int, int]:
    """The least and the greatest key an item can have; the first above the second where there is none. One query."""
    return bounds_of_each(kind, [asked])[0]


def bounds_of_each(kind: str, questions: Sequence[Conditions]) -> list[tuple[int, int]]:
    """The same for several questions about one kind of item. One query."""
    if not questions:
        return []
    parts = [_bounds(kind, asked) for asked in questions]
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(f"(SELECT {number} AS number, {sql})" for number, (sql, _) in enumerate(parts))
            + " ORDER BY number",
            [value for _, values in parts for value in values],
        )
        return [(1, 0) if is_empty else (low, high) for _, low, high, is_empty in cursor.fetchall()]


def _bounds(kind: str, asked: Conditions) -> tuple[str, list[Any]]:
    """The columns low, high and is_empty of a question's bounds, and what they are from; with the values in it."""
    table, key = TABLES[kind]._meta.db_table, _KEYS[kind]
    spans: list[tuple[str, list[Any]]] = [
        (f"SELECT min({key}) AS low, max({key}) AS high FROM {table}", [])  # noqa: S608  # our own names
    ]
    for group in [*((one,) for one in asked.every), *asked.some]:
        column = _column_of(kind, group)
        if column:
            spans.append(_span(_ITEMS[kind], column, [token & LARGEST for token in group]))
    if asked.since or asked.before:
        spans.append(_dates(kind, asked))
    union = " UNION ALL ".join(f"({sql})" for sql, _ in spans)
    ends = "max(low), min(high), bool_or(low IS NULL OR high IS NULL)"
    return f"{ends} FROM ({union}) AS spans", [value for _, values in spans for value in values]


def rows_by_column(kind: str, asked: Conditions) -> tuple[str, list[Any]] | None:
    """A row for each item that fits, in no order, read from an index alone; None where no index answers the question.

    That is so where it asks for nothing but one fact that the items have a column of.
    """
    groups = [*((one,) for one in asked.every), *asked.some]
    if len(groups) != 1 or asked != Conditions(every=asked.every, some=asked.some):
        return None
    column = _column_of(kind, groups[0])
    if column is None:
        return None
    own, owners = _owners(column)
    # One owner after the other, each by the index: without OFFSET the planner may read the whole table for all of them.
    rows = f"SELECT 1 FROM {_ITEMS[kind]} WHERE {own} = owner.one OFFSET 0"  # noqa: S608  # our own names
    return f"SELECT 1 FROM ({owners}) AS owner, LATERAL ({rows}) AS found", [[token & LARGEST for token in groups[0]]]  # noqa: S608  # our own names


def _column_of(kind: str, group: Sequence[int]) -> str | None:
    """The column by which an index tells where the items lie that have one of these facts."""
    return _COLUMNS.get(kind, {}).get(Fact(group[0] >> BITS)) if len(group) <= _MOST else None


def _owners(column: str) -> tuple[str, str]:
    """The items' own column, and a query for its values: the numbers themselves, or the runs that have them."""
    if column.startswith("run."):
        return "run_id", f"SELECT id AS one FROM training_app_run AS run WHERE {column} = ANY(%s)"  # noqa: S608  # our own names
    return column, "SELECT unnest(%s::bigint[]) AS one"


def _span(table: str, column: str, numbers: list[int]) -> tuple[str, list[Any]]:
    """The ends over some values of a column, each found by two looks into an index."""
    own, owners = _owners(column)
    ends = ", ".join(
        f"(SELECT {end}(id) FROM {table} WHERE {own} = owner.one) AS {name}"  # noqa: S608  # our own names
        for end, name in (("min", "low"), ("max", "high"))
    )
    return (
        f"SELECT min(low) AS low, max(high) AS high FROM ({owners}) AS owner, LATERAL (SELECT {ends}) AS found",  # noqa: S608  # our own names
        [numbers],
    )


def _dates(kind: str, asked: Conditions) -> tuple[str, list[Any]]:
    """The ends of the times asked for, by the index of times and keys: rows written together may share one time."""
    facts = "JOIN training_app_auditfacts AS facts ON facts.audit_id = item.id" if kind == "audit" else ""
    key = "facts.id" if kind == "audit" else "item.id"
    ends = [
        f"(SELECT {key} FROM {_ITEMS[kind]} AS item {facts} WHERE item.created_at {beyond} %s "  # noqa: S608  # our own names
        f"ORDER BY item.created_at {way}, item.id {way} LIMIT 1)"
        for beyond, way in ((">=", "ASC"), ("<", "DESC"))
    ]
    return f"SELECT {ends[0]} AS low, {ends[1]} AS high", [asked.since or _BEGINNING, asked.before or _END]
