"""Between which keys the items of a question lie, as far as an index tells at once.

Runs write their items together, so the items of one lie together, perhaps a million rows away from where a list begins.
"""

from __future__ import annotations

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
    table, key = TABLES[kind]._meta.db_table, _KEYS[kind]
    spans: list[tuple[str, list[Any]]] = [
        (f"SELECT min({key}) AS low, max({key}) AS high FROM {table}", [])  # noqa: S608  # our own names
    ]
    for group in [*((one,) for one in asked.every), *asked.some]:
        column = _COLUMNS.get(kind, {}).get(Fact(group[0] >> BITS))
        if column and len(group) <= _MOST:
            spans.append(_span(_ITEMS[kind], column, [token & LARGEST for token in group]))
    if asked.since or asked.before:
        spans.append(_dates(kind, asked))
    with connection.cursor() as cursor:
        union = " UNION ALL ".join(f"({sql})" for sql, _ in spans)
        cursor.execute(
            "SELECT max(low), min(high), bool_or(low IS NULL OR high IS NULL) "  # noqa: S608  # our own names
            f"FROM ({union}) AS spans",
            [value for _, values in spans for value in values],
        )
        low, high, is_empty = cursor.fetchone()
    return (1, 0) if is_empty else (low, high)


def _span(table: str, column: str, numbers: list[int]) -> tuple[str, list[Any]]:
    """The ends over some values of a column, each found by two looks into an index."""
    if column.startswith("run."):
        owners, own = f"(SELECT id AS one FROM training_app_run AS run WHERE {column} = ANY(%s))", "run_id"  # noqa: S608  # our own names
    else:
        owners, own = "(SELECT unnest(%s::bigint[]) AS one)", column
    ends = ", ".join(
        f"(SELECT {end}(id) FROM {table} WHERE {own} = owner.one) AS {name}"  # noqa: S608  # our own names
        for end, name in (("min", "low"), ("max", "high"))
    )
    return (
        f"SELECT min(low) AS low, max(high) AS high FROM {owners} AS owner, LATERAL (SELECT {ends}) AS found",  # noqa: S608  # our own names
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
