"""What was said in a review, what a judge answered and what a file held is kept as it was."""

from __future__ import annotations

from django.db import migrations

from constitutions_app.migrations._freezing import freeze, unfreeze

TABLES = (
    "constitutions_app_verdict",
    "constitutions_app_comment",
    "constitutions_app_scenarioresult",
    "constitutions_app_import",
)


class Migration(migrations.Migration):
    dependencies = [("constitutions_app", "0007_scenarios")]

    operations = [migrations.RunSQL(freeze(table), unfreeze(table)) for table in TABLES]
