"""Many rows at once, by COPY: what a worker writes is told to the database in one stream instead of in statements.

A row that is there already makes PostgreSQL refuse the whole stream. It is undone then, and the rows are inserted as
statements that leave out what exists. That happens when a file is read twice, which is rare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

BATCH = 1000


def insert_new(table: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Insert unsaved rows; those whose keys exist are left as they are. Primary keys are the database's to choose."""
    if not rows:
        return
    try:
        with transaction.atomic():
            _copy(table, rows)
    except IntegrityError:
        table._default_manager.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)


def _copy(table: type[models.Model], rows: Sequence[models.Model]) -> None:
    fields = [field for field in table._meta.concrete_fields if not isinstance(field, models.AutoField)]
    read = [_reader(field) for field in fields]
    quoted = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    name = connection.ops.quote_name(table._meta.db_table)
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {name} ({quoted}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row([one(row) for one in read])


def _reader(field: models.Field[Any, Any]) -> Callable[[models.Model], Any]:
    """How the value of a column is had of a row."""
    name = field.attname
    if isinstance(field, models.DateTimeField) and field.auto_now_add:
        now = timezone.now()
        return lambda row: now
    if isinstance(field, models.JSONField):
        return lambda row: Jsonb(getattr(row, name))
    if isinstance(field, ArrayField):
        return lambda row: list(getattr(row, name))
    return lambda row: _plain(getattr(row, name))


def _plain(value: Any) -> Any:
    """A choice as the text it stands for; the driver would write its name."""
    return value.value if isinstance(value, Enum) else value
