"""Versions, their principles and the ledger can be inserted and read, never changed: PostgreSQL itself refuses."""

from __future__ import annotations

from django.db import migrations

from constitutions_app.migrations._freezing import FREEZE_FUNCTION, UNFREEZE_FUNCTION, freeze, unfreeze

TABLES = ("constitutions_app_version", "constitutions_app_principleversion", "constitutions_app_ledgerentry")


class Migration(migrations.Migration):
    dependencies = [("constitutions_app", "0001_first_tables")]

    operations = [
        migrations.RunSQL(FREEZE_FUNCTION, UNFREEZE_FUNCTION),
        *(migrations.RunSQL(freeze(table), unfreeze(table)) for table in TABLES),
    ]
