"""Versions published before this was recorded learn what each of them did to its principles. No word is touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from constitutions_app.core import edits
from constitutions_app.core.principles import Principle, from_dict

TABLE = "constitutions_app_principleversion"


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Walks each constitution's versions in order. The refusing trigger rests until the end of this transaction."""
    rows = apps.get_model("constitutions_app", "PrincipleVersion").objects.filter(since=0)
    if not rows.exists():
        return
    found = {
        row.pk: change
        for constitution in rows.values_list("version__constitution_id", flat=True).distinct().order_by()
        for row, change in _changes(rows.filter(version__constitution_id=constitution))
    }
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        cursor.executemany(
            f"UPDATE {TABLE} SET change = %s, since = %s WHERE id = %s",  # noqa: S608  # our own table's name
            [(change, since, pk) for pk, (change, since) in found.items()],
        )
        cursor.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER USER")


def _changes(rows: Any) -> Iterator[tuple[Any, tuple[str, int]]]:
    """Each row with what happened to it against the version before; there were no branches then."""
    before: dict[str, Principle] = {}
    since: dict[str, int] = {}
    for number in sorted(set(rows.values_list("version__number", flat=True))):
        now = {}
        for row in rows.filter(version__number=number):
            item = from_dict({"name": "one principle", "principles": [row.body]}).principles[0]
            kind = edits.classify(before.get(row.key), item).kind
            since[row.key] = since[row.key] if kind in ("same", "minor") else number
            now[row.key] = item
            yield row, (kind, since[row.key])
        before = now


class Migration(migrations.Migration):
    dependencies = [("constitutions_app", "0009_licences_and_uploads")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
