"""Rows that never change once written: the Python half of the promise.

The other half is a PostgreSQL trigger (`refuse_change`, made by a migration and attached to each frozen table), because
Python guards alone are passed by raw SQL, by `bulk_create(update_conflicts=True)` and by `TRUNCATE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)


class FrozenRowError(TypeError):
    """Somebody tried to change or delete a row that is kept for ever as it was written."""


class FrozenQuerySet(models.QuerySet[Row]):
    """Reads and inserts; every way of changing or deleting raises FrozenRowError."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise FrozenRowError(f"{self.model._meta.verbose_name} rows are frozen: nothing was changed.")

    def delete(self) -> NoReturn:
        raise FrozenRowError(f"{self.model._meta.verbose_name} rows are frozen: nothing was deleted.")

    def bulk_update(self, objs: Iterable[Row], fields: Iterable[str], batch_size: int | None = None) -> NoReturn:
        raise FrozenRowError(f"{self.model._meta.verbose_name} rows are frozen: nothing was changed.")

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        if kwargs.get("update_conflicts"):
            raise FrozenRowError(f"{self.model._meta.verbose_name} rows are frozen: inserting must not update.")
        return super().bulk_create(objs, *args, **kwargs)

    def insert_once(self, row: Row) -> bool:
        """Insert a row unless one with its key is there; whether it was written. One statement and no savepoint."""
        columns = row._meta.concrete_fields
        table, names = connection.ops.quote_name(row._meta.db_table), ", ".join(f'"{one.column}"' for one in columns)
        places = ", ".join(["%s"] * len(columns))
        values = [one.get_db_prep_save(one.pre_save(row, add=True), connection) for one in columns]
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING",  # noqa: S608  # its own names
                values,
            )
            is_new: bool = cursor.rowcount == 1
        row._state.adding, row._state.db = not is_new, connection.alias
        return is_new


class FrozenModel(models.Model):
    """A row that can be inserted and read, never changed or deleted."""

    objects = FrozenQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the row. Raises FrozenRowError for a row already written, IntegrityError for a reused key."""
        if not self._state.adding:
            raise FrozenRowError(f"{self._meta.verbose_name} {self.pk} is frozen: nothing was changed.")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise FrozenRowError(f"{self._meta.verbose_name} {self.pk} is frozen: nothing was deleted.")
