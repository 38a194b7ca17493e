"""Scenarios, their results, and what imported files said beyond the words."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0006_review"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Import",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("format", models.CharField(max_length=40)),
                ("file_name", models.CharField(max_length=200)),
                ("file_digest", models.CharField(max_length=64)),
                ("provenance", models.JSONField(default=dict)),
                ("not_understood", models.JSONField(default=list)),
                ("imported_at", models.DateTimeField(auto_now_add=True)),
                (
                    "constitution",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="imports",
                        to="constitutions_app.constitution",
                    ),
                ),
                (
                    "imported_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-imported_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="Scenario",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.SlugField(max_length=120)),
                ("title", models.CharField(blank=True, max_length=200)),
                (
                    "principles",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=80), blank=True, default=list, size=None
                    ),
                ),
                ("prompt", models.TextField()),
                ("response_a", models.TextField(blank=True)),
                ("response_b", models.TextField(blank=True)),
                ("expected", models.CharField(blank=True, choices=[("a", "A"), ("b", "B")], max_length=1)),
                ("note", models.TextField(blank=True)),
                ("origin", models.JSONField(blank=True, default=dict)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
                ("revision", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "constitution",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="scenarios",
                        to="constitutions_app.constitution",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "updated_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("key",),
            },
        ),
        migrations.CreateModel(
            name="ScenarioResult",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scenario_digest", models.CharField(max_length=64)),
                ("constitution_digest", models.CharField(max_length=64)),
                ("principle", models.CharField(max_length=80)),
                ("judge_digest", models.CharField(max_length=64)),
                ("judge_name", models.CharField(max_length=200)),
                ("p_expected", models.FloatField()),
                ("at", models.DateTimeField(auto_now_add=True)),
                (
                    "scenario",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="results",
                        to="constitutions_app.scenario",
                    ),
                ),
            ],
            options={
                "ordering": ("-at", "-pk"),
            },
        ),
        migrations.AddIndex(
            model_name="scenario",
            index=django.contrib.postgres.indexes.GinIndex(fields=["principles"], name="scenarios_by_principle"),
        ),
        migrations.AddConstraint(
            model_name="scenario",
            constraint=models.UniqueConstraint(fields=("constitution", "key"), name="one_scenario_per_key"),
        ),
        migrations.AddIndex(
            model_name="scenarioresult",
            index=models.Index(fields=["scenario", "constitution_digest", "-at"], name="newest_scenario_result"),
        ),
        migrations.AddConstraint(
            model_name="scenarioresult",
            constraint=models.CheckConstraint(
                condition=models.Q(("p_expected__gte", 0), ("p_expected__lte", 1)), name="p_expected_is_a_probability"
            ),
        ),
    ]
