"""Rows that never change once written: the Python half of the promise.

The other half is a PostgreSQL trigger (`refuse_change`, made by a migration and attached to each frozen table), because
Python guards alone are passed by raw SQL, by `bulk_create(update_conflicts=True)` and by `TRUNCATE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from django.db import models

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
