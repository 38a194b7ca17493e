"""Many rows at once, by COPY: what a worker writes is told to the database in one stream instead of in statements.

Rows are plain values by column and not model objects, which take longer to make than all the rest (Django sets twenty
attributes for each). A row that is there already makes PostgreSQL refuse the whole stream. It is undone then, and the
rows are inserted as statements that leave out what exists. That happens when a file is read twice, which is rare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

BATCH = 1000

Row = Mapping[str, Any]
"""Values by attribute of the model (`run_id`, not `run`); what is left out gets its default. All rows alike."""


def insert_new(table: type[models.Model], rows: Sequence[Row]) -> None:
    """Insert rows; those whose keys exist are left as they are. Primary keys are the database's to choose."""
    if not rows:
        return
    try:
        with transaction.atomic():
            _copy(table, rows)
    except IntegrityError:
        table._default_manager.bulk_create([table(**row) for row in rows], batch_size=BATCH, ignore_conflicts=True)


def _copy(table: type[models.Model], rows: Sequence[Row]) -> None:
    fields = [field for field in table._meta.concrete_fields if not isinstance(field, models.AutoField)]
    read = [_reader(field, given=field.attname in rows[0]) for field in fields]
    quoted = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    name = connection.ops.quote_name(table._meta.db_table)
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {name} ({quoted}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row([one(row) for one in read])


def _reader(field: models.Field[Any, Any], *, given: bool) -> Callable[[Row], Any]:
    """How the value of a column is had of a row."""
    name = field.attname
    if isinstance(field, models.DateTimeField) and field.auto_now_add:
        now = timezone.now()
        return lambda row: now
    convert = _converter(field)
    if not given:
        return lambda row: convert(field.get_default())
    if convert is _same:
        return lambda row: row[name]
    return lambda row: convert(row[name])


def _converter(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    if isinstance(field, models.JSONField):
        return Jsonb
    if isinstance(field, ArrayField):
        return list
    return _plain if field.choices else _same


def _plain(value: Any) -> Any:
    """A choice as the text it stands for; the driver would write its name."""
    return value.value if isinstance(value, Enum) else value


def _same(value: Any) -> Any:
    return value
