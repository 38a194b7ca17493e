"""Every answer says which countable features it has, so that arms can be compared prompt by prompt."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0026_checkpoints_are_signed"),
    ]

    operations = [
        migrations.AddField("evaluationanswer", "features", models.JSONField(blank=True, default=dict)),
    ]
