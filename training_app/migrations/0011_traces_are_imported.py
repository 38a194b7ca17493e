"""Traces that somebody else published come from a file; what was imported is kept for ever as it was."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from constitutions_app.migrations._freezing import freeze, unfreeze


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0010_fill_what_changed"),
        ("training_app", "0010_examples_for_a_model_family"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="trace",
            name="run",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="traces",
                to="training_app.run",
            ),
        ),
        migrations.CreateModel(
            name="TraceImport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("file_name", models.CharField(max_length=200)),
                ("digest", models.CharField(max_length=64)),
                ("licence", models.CharField(blank=True, max_length=100)),
                ("rows", models.PositiveIntegerField()),
                ("steps", models.PositiveIntegerField()),
                ("other_wordings", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "prompt_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="trace_imports",
                        to="training_app.promptset",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="trace_imports",
                        to="constitutions_app.version",
                    ),
                ),
            ],
            options={
                "ordering": ("-pk",),
            },
        ),
        migrations.AddField(
            model_name="trace",
            name="imported",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="traces",
                to="training_app.traceimport",
            ),
        ),
        migrations.AddConstraint(
            model_name="trace",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("imported__isnull", True), ("run__isnull", False)),
                    models.Q(("imported__isnull", False), ("run__isnull", True)),
                    _connector="OR",
                ),
                name="a_trace_has_one_origin",
            ),
        ),
        migrations.AddConstraint(
            model_name="traceimport",
            constraint=models.UniqueConstraint(
                fields=("version", "digest"), name="one_import_of_a_trace_file_per_version"
            ),
        ),
        migrations.RunSQL(freeze("training_app_traceimport"), unfreeze("training_app_traceimport")),
    ]
