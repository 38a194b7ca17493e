"""When a transaction of judging waits for the disk (docs/decisions/0009-waiting-for-the-disk-without-locks.md).

PostgreSQL usually waits for the disk, some milliseconds, before a transaction lets go of its locks. Every verb appends
to one chain, the ledger, and every decision raises one number of its queue: fifty people would wait in line, each for
the disk of everybody before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction


def first_of_a_lease(statement: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The first row of a statement, whose transaction will not wait for the disk at all.

    If PostgreSQL itself dies within half a second, it is as if the lease had never been given: its item has its place
    again in the same moment, so nothing is given to too many. A choice or a decision that was made by it was written
    after it, so whoever saw that as saved has the lease too. Call it first in a transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL synchronous_commit TO off; {statement}", values)
        cursor.nextset()
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def first_of_a_promise(statement: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The first row of a statement, whose transaction will wait for the disk after its commit, holding nobody up.

    Still before anything is answered: what a client sees as saved is on the disk. Others may see it a moment earlier;
    what they write then follows it to the disk, so nothing outlives what it was built on. Call it first in a
    transaction.
    """
    transaction.on_commit(_wait)
    return first_of_a_lease(statement, values)


def _wait() -> None:
    """Write an empty message after everything written so far, and wait for it as a commit does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, '', '')")
