"""What several tests share: thawing frozen tables after a test, the environment of started programs, waiting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations


@contextmanager
def thawed_flush() -> Iterator[None]:
    """Lets Django empty the tables after a test that committed, although triggers refuse that for frozen ones.

    Triggers rest only while the tables are emptied, after the test; nothing in the product does this. Rows that
    migrations made (groups, permissions) stay: they are part of the tables' definition, not of a test's data. So there
    is nothing to make anew afterwards, and Django's signal that would do it is not sent.

    Rows are deleted, from the few tables that hold any. Django's own TRUNCATE of every table takes many times as long,
    and its locks meet those of a server that still answers a request.
    """
    kept = _rows_of_migrations()

    def flush(self: DatabaseOperations, style: Any, tables: Any, **options: Any) -> list[str]:
        _wait_for_others()
        names = {table: self.quote_name(table) for table in tables}
        sources = [f"{name} WHERE id > {kept[table]}" if table in kept else name for table, name in names.items()]
        return ["SET LOCAL session_replication_role = replica", *_deletions(sources)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", flush)
        patch.setattr("django.core.management.commands.flush.emit_post_migrate_signal", lambda *_: None)
        yield


def _deletions(sources: list[str]) -> list[str]:
    """The statements that empty those of `sources` (what stands after FROM: our own names) that hold rows."""
    asked = [f"SELECT {place} WHERE EXISTS (SELECT FROM {source})" for place, source in enumerate(sources)]  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        return [f"DELETE FROM {sources[place]}" for (place,) in cursor.fetchall()]  # noqa: S608


def _wait_for_others() -> None:
    """Waits until no server that a test started is in the middle of a request, whose rows would outlive the flush.

    A page that a test has closed may still have asked something; the answer is made although nobody reads it.
    """
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
    )

    def alone() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(others)
            row = cursor.fetchone()
            return row is not None and row[0] == 0

    wait_for(alone, 10, what="the last transactions of the servers that tests started")


def _rows_of_migrations() -> dict[str, int]:
    """The tables that hold rows right after migrating, with the highest id of each."""
    kept = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
            columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}
            if table != "django_migrations" and "id" in columns:
                name = connection.ops.quote_name(table)
                cursor.execute(f"SELECT id FROM {name} ORDER BY id DESC LIMIT 1")  # noqa: S608  # our own names
                if (row := cursor.fetchone()) and isinstance(row[0], int):
                    kept[table] = row[0]
    return kept


def program_environment(**extra: str) -> dict[str, str]:
    """The environment of a program that a test starts, so that it uses this test's own database and queue."""
    database = connection.settings_dict
    host = quote(str(database["HOST"]), safe="")
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDEVMODE"}
    return {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "cai_web.settings",
        "DATABASE_URL": f"postgres://{database['USER']}@{host}:{database['PORT']}/{database['NAME']}",
        "CELERY_BROKER_URL": str(settings.CELERY_BROKER_URL),
        "ARTIFACT_ROOT": str(settings.ARTIFACT_ROOT),
        "MODELS_ROOT": str(settings.MODELS_ROOT),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        **extra,
    }


def wait_for(question: Callable[[], Any], seconds: float = 30.0, *, what: str = "it") -> Any:
    """Asks until the answer is true, and returns it. Fails the test, saying what was waited for, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            pytest.fail(f"Waited {seconds:.0f} s for {what} in vain.")
        time.sleep(0.05)
    return answer
