"""Annotated pairs come from a file; what was said about them is kept for ever as it was."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from constitutions_app.migrations._freezing import freeze, unfreeze


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0018_measurements_can_be_cancelled"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AnnotatedPair",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("prompt", models.JSONField()),
                ("annotations", models.JSONField()),
                ("responders", models.JSONField()),
                ("metadata", models.JSONField()),
            ],
            options={
                "ordering": ("position",),
            },
        ),
        migrations.CreateModel(
            name="PairImport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("file_name", models.CharField(max_length=200)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("licence", models.CharField(blank=True, max_length=100)),
                ("annotators", models.JSONField()),
                ("default_annotator", models.CharField(blank=True, max_length=200)),
                ("metadata", models.JSONField()),
                ("rows", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("-pk",),
            },
        ),
        migrations.RemoveConstraint(
            model_name="comparison",
            name="a_comparison_has_an_origin",
        ),
        migrations.AlterField(
            model_name="comparison",
            name="source",
            field=models.CharField(
                choices=[
                    ("sampled", "sampled from a checkpoint"),
                    ("human", "human comparison"),
                    ("imported", "annotated elsewhere, not chosen between by people"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="comparison",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("run__isnull", False), ("source", "sampled")),
                    models.Q(("human_choice__in", ("a", "b")), ("prompt_set__isnull", False), ("source", "human")),
                    models.Q(("human_choice", ""), ("prompt_set__isnull", False), ("source", "imported")),
                    _connector="OR",
                ),
                name="a_comparison_has_an_origin",
            ),
        ),
        migrations.AddField(
            model_name="annotatedpair",
            name="comparison",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="annotated", to="training_app.comparison"
            ),
        ),
        migrations.AddField(
            model_name="pairimport",
            name="created_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="pairimport",
            name="prompt_set",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="pair_imports", to="training_app.promptset"
            ),
        ),
        migrations.AddField(
            model_name="annotatedpair",
            name="imported",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="pairs", to="training_app.pairimport"
            ),
        ),
        migrations.AddConstraint(
            model_name="annotatedpair",
            constraint=models.UniqueConstraint(
                fields=("imported", "comparison"), name="one_annotated_pair_per_comparison"
            ),
        ),
        migrations.AddConstraint(
            model_name="annotatedpair",
            constraint=models.UniqueConstraint(fields=("imported", "position"), name="one_annotated_pair_per_position"),
        ),
        migrations.RunSQL(freeze("training_app_pairimport"), unfreeze("training_app_pairimport")),
        migrations.RunSQL(freeze("training_app_annotatedpair"), unfreeze("training_app_annotatedpair")),
    ]
