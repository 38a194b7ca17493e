"""Worked examples belong to a version and a model family; frozen like everything that was trained on."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from constitutions_app.migrations._freezing import freeze, unfreeze

TABLE = "training_app_exemplarset"


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0002_freeze_versions_and_ledger"),
        ("training_app", "0009_judges_are_measured"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            "ExemplarSet",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("family", models.CharField(max_length=60)),
                ("exemplars", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="exemplar_sets",
                        to="constitutions_app.version",
                    ),
                ),
            ],
            {
                "ordering": ("-pk",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("version", "family", "digest"), name="one_set_of_these_examples_a_family"
                    )
                ],
            },
        ),
        migrations.RunSQL(freeze(TABLE), unfreeze(TABLE)),
        migrations.AddField(
            "run",
            "exemplars",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                to="training_app.exemplarset",
            ),
        ),
    ]
