"""Holding the explorer's tables against a full scan of what they describe, and putting right what differs."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from training_app.migrations import _facts, _last_words, _tallies

_SORTED = "(SELECT array_agg(DISTINCT one ORDER BY one) FROM unnest({row}.facets) AS one WHERE one >> 24 < 30)"
_KEYS = {"labels": "label_id", "steps": "step_id", "comparisons": "comparison_id", "audits": "audit_id"}
_COLUMNS = {
    "labels": ("comparison_id", "p_a", "agrees", "overrides", "audits", "audited_at", "agreement", "choice"),
    "steps": ("agrees", "overrides", "audits", "audited_at", "agreement", "choice", "words"),
    "comparisons": ("words",),
    "audits": ("words",),
}


def check(*, mend: bool) -> Mapping[str, int]:
    """How many rows of each table differ from what a full scan says; with `mend` they are replaced. All or nothing.

    Reads one state of the database: what is written meanwhile counts neither here nor there.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.in_atomic_block or len(connection.savepoint_ids) == 0:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        expected = {name: f"expected_{name}" for name in _facts.TABLES}
        for name, (_, facts, _) in _facts.TABLES.items():
            cursor.execute(f"CREATE TEMPORARY TABLE {expected[name]} (LIKE {facts} INCLUDING DEFAULTS) ON COMMIT DROP")
        cursor.execute(_facts.fill(expected, _last_words.TALLY))
        found = {}
        for name, (_, facts, _) in _facts.TABLES.items():
            found[name] = _differing(cursor, name, facts)
            if mend and found[name]:
                _replace(cursor, name, facts)
        found["runs"] = _tallies_differing(cursor, mend)
        for name in expected.values():
            cursor.execute(f"DROP TABLE {name}")
        cursor.execute("DROP TABLE " + ", ".join(f"differing_{name}" for name in expected))
    return found


def _differing(cursor: CursorWrapper, name: str, facts: str) -> int:
    """Keeps the keys of the rows that differ in a temporary table; how many there are."""
    key = _KEYS[name]
    same = " AND ".join(
        [f"stood.{column} IS NOT DISTINCT FROM wanted.{column}" for column in _COLUMNS[name]]
        + [f"{_SORTED.format(row='stood')} IS NOT DISTINCT FROM {_SORTED.format(row='wanted')}"]
    )
    run = cursor.execute
    differing = (
        f"SELECT {key} AS key FROM {facts} AS stood FULL JOIN expected_{name} AS wanted USING ({key}) "  # noqa: S608  # our own names
        f"WHERE stood.{key} IS NULL OR wanted.{key} IS NULL OR NOT ({same})"
    )
    run(f"CREATE TEMPORARY TABLE differing_{name} ON COMMIT DROP AS {differing}")
    run(f"SELECT count(*) FROM differing_{name}")  # noqa: S608  # our own names
    return int(cursor.fetchone()[0])


def _replace(cursor: CursorWrapper, name: str, facts: str) -> None:
    key = _KEYS[name]
    run = cursor.execute
    theirs = f"{key} IN (SELECT key FROM differing_{name})"  # noqa: S608  # our own names
    run(f"DELETE FROM {facts} WHERE {theirs}")  # noqa: S608  # our own names
    run(f"INSERT INTO {facts} SELECT * FROM expected_{name} WHERE {theirs}")  # noqa: S608  # our own names


def _tallies_differing(cursor: CursorWrapper, mend: bool) -> int:
    """How many rows of the runs' counts a full scan says otherwise; with `mend` all are counted anew."""
    run = cursor.execute
    tables = ("training_app_runtally", "training_app_runaudits")
    for table in tables:
        run(f"CREATE TEMPORARY TABLE stood_{table} ON COMMIT DROP AS SELECT * FROM {table}")  # noqa: S608  # our own names
    savepoint = transaction.savepoint()
    run(_tallies.count_again(_last_words.judged))
    count = 0
    for table in tables:
        run(f"SELECT count(*) FROM (TABLE {table} EXCEPT TABLE stood_{table}) AS found")  # noqa: S608  # our own names
        count += int(cursor.fetchone()[0])
        run(f"SELECT count(*) FROM stood_{table} AS stood WHERE run_id NOT IN (SELECT run_id FROM {table})")  # noqa: S608  # our own names
        count += int(cursor.fetchone()[0])
    if not (mend and count):
        transaction.savepoint_rollback(savepoint)
    for table in tables:
        run(f"DROP TABLE stood_{table}")
    return count
