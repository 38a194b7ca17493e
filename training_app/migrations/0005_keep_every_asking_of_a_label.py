"""A label may be asked under all principles at once, by thoughts, or with "neither": every raw asking is kept."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0001_first_tables"),
        ("training_app", "0004_judges_say_how_they_compute"),
    ]

    operations = [
        migrations.AddField("ailabel", "p_neither", models.FloatField(blank=True, null=True)),
        migrations.AddField("ailabel", "votes", models.JSONField(blank=True, default=list)),
        migrations.AddField("judge", "manner", models.CharField(blank=True, default="", max_length=200)),
        migrations.AlterField(
            "ailabel",
            "principle",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="labels",
                to="constitutions_app.principleversion",
            ),
        ),
        migrations.AddConstraint(
            "ailabel",
            models.UniqueConstraint(
                condition=models.Q(("principle__isnull", True)),
                fields=("run", "comparison", "judge"),
                name="one_label_for_all_principles_and_judge",
            ),
        ),
    ]
