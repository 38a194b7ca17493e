from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection, models, transaction

from constitutions_app.models import Constitution, LedgerEntry, PrincipleVersion, Version
from constitutions_app.models.frozen import FrozenRowError

pytestmark = pytest.mark.django_db

FROZEN: list[type[models.Model]] = [Version, PrincipleVersion, LedgerEntry]
COLUMN: dict[type[models.Model], str] = {Version: "note", PrincipleVersion: "text", LedgerEntry: "verb"}


def snapshot(model: type[models.Model]) -> list[object]:
    return list(model._default_manager.order_by("pk").values())


@pytest.fixture(params=FROZEN, ids=lambda model: model.__name__)
def model(request: pytest.FixtureRequest, constitution: Constitution) -> type[models.Model]:
    chosen: type[models.Model] = request.param
    assert snapshot(chosen)
    return chosen


def test_python_refuses_to_save_update_and_delete(model: type[models.Model]) -> None:
    before = snapshot(model)
    row = model._default_manager.all()[0]
    attempts: list[Callable[[], object]] = [
        row.save,
        row.delete,
        lambda: model._default_manager.update(**{COLUMN[model]: "changed"}),
        lambda: model._default_manager.all().delete(),
        lambda: model._default_manager.bulk_update([row], [COLUMN[model]]),
        lambda: model._default_manager.bulk_create(
            [row], update_conflicts=True, update_fields=[COLUMN[model]], unique_fields=["pk"]
        ),
    ]
    for attempt in attempts:
        with pytest.raises(FrozenRowError):
            attempt()
    assert snapshot(model) == before


def test_the_database_refuses_what_python_cannot_see(model: type[models.Model]) -> None:
    before = snapshot(model)
    row = model._default_manager.all()[0]
    setattr(row, COLUMN[model], "changed")
    table, column = model._meta.db_table, COLUMN[model]
    unguarded: models.QuerySet[models.Model] = models.QuerySet(model)

    def raw(sql: str) -> Callable[[], None]:
        def run() -> None:
            with connection.cursor() as cursor:
                cursor.execute(sql)

        return run

    attempts: list[Callable[[], object]] = [
        model(**{part.attname: getattr(row, part.attname) for part in model._meta.concrete_fields}).save,
        lambda: models.Model.save(row),
        lambda: models.Model.save_base(row, force_update=True),
        lambda: unguarded.update(**{column: "changed"}),
        lambda: unguarded._raw_delete(unguarded.db),
        lambda: unguarded.bulk_update([row], [column]),
        lambda: unguarded.bulk_create(
            [row], update_conflicts=True, update_fields=[column], unique_fields=[model._meta.pk.attname]
        ),
        raw(f"UPDATE {table} SET {column} = 'changed'"),  # noqa: S608  our own table names
        raw(f"DELETE FROM {table}"),  # noqa: S608  our own table names
        raw(f"TRUNCATE {table} CASCADE"),
    ]
    for attempt in attempts:
        with pytest.raises(DatabaseError), transaction.atomic():
            attempt()
    assert snapshot(model) == before


def test_a_row_of_a_frozen_model_cannot_take_an_existing_key(constitution: Constitution) -> None:
    version = constitution.versions.get()
    impostor = Version(
        pk=version.pk,
        constitution=constitution,
        number=9,
        canonical="{}",
        digest="0" * 64,
        author=version.author,
        note="Not what was published.",
    )
    with pytest.raises(DatabaseError), transaction.atomic():
        impostor.save()
    assert constitution.versions.get().digest == version.digest


def test_whoever_is_named_in_a_frozen_row_cannot_be_deleted(constitution: Constitution) -> None:
    with pytest.raises(models.ProtectedError):
        constitution.created_by.delete()
