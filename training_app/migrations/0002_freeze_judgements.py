"""What the AI said, what people answered and what was trained on are kept for ever as they were written."""

from __future__ import annotations

from django.db import migrations

from constitutions_app.migrations._freezing import freeze, unfreeze

TABLES = (
    "training_app_promptset",
    "training_app_prompt",
    "training_app_trace",
    "training_app_tracestep",
    "training_app_judge",
    "training_app_comparison",
    "training_app_ailabel",
    "training_app_audit",
    "training_app_datasetbuild",
    "training_app_datasetitem",
    "training_app_checkpoint",
    "training_app_evaluation",
    "training_app_evaluationanswer",
)


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0001_first_tables"),
        ("constitutions_app", "0002_freeze_versions_and_ledger"),
    ]

    operations = [migrations.RunSQL(freeze(table), unfreeze(table)) for table in TABLES]
