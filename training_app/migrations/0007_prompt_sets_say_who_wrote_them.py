"""A prompt set that a run wrote names the run, and what went into it."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("training_app", "0006_several_labels_make_one_row")]

    operations = [
        migrations.AddField("promptset", "provenance", models.JSONField(blank=True, default=dict)),
        migrations.AddField(
            "promptset",
            "made_by",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="written_sets",
                to="training_app.run",
            ),
        ),
    ]
