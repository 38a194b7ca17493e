"""A choice or a decision is on the disk before it is answered, and its locks do not wait for the disk; a lease need not
be there at all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from training_app.queues.disk import first_of_a_lease, first_of_a_promise

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def durable() -> Iterator[None]:
    """The tests' server waits for no disk; this connection does."""
    _ask("SET synchronous_commit TO on")
    _ask("CREATE TABLE written (what int)")
    yield
    _ask("DROP TABLE written")
    _ask("RESET synchronous_commit")


def test_a_promise_is_on_the_disk_once_its_transaction_is_over() -> None:
    with transaction.atomic():
        assert first_of_a_promise("INSERT INTO written VALUES (%(what)s) RETURNING what", {"what": 7}) == (7,)
        assert _ask("SHOW synchronous_commit") == "off", "the commit itself, with its locks, does not wait"
        written = _ask("SELECT pg_current_wal_insert_lsn()")
    assert _ask(f"SELECT pg_current_wal_flush_lsn() >= '{written}'")
    assert _ask("SHOW synchronous_commit") == "on", "what comes after waits as ever"


def test_a_promise_that_failed_is_none() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        first_of_a_promise("INSERT INTO written VALUES (%(what)s) RETURNING what", {"what": 7})
        raise ZeroDivisionError
    assert _ask("SELECT count(*) FROM written") == 0


def test_a_lease_waits_for_nothing() -> None:
    with transaction.atomic():
        assert first_of_a_lease("SELECT %(what)s", {"what": 7}) == (7,)
        assert _ask("SHOW synchronous_commit") == "off"
        assert connection.run_on_commit == []


def _ask(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
