"""What the explorer asks stands in one row for each item; triggers write it, and rows from before are described."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.math
from django.db import migrations, models

from training_app.migrations import _facts


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0011_traces_are_imported"),
    ]

    operations = [
        migrations.CreateModel(
            name="ComparisonFacts",
            fields=[
                (
                    "comparison",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="facts",
                        serialize=False,
                        to="training_app.comparison",
                    ),
                ),
                ("words", django.contrib.postgres.search.SearchVectorField()),
                ("facets", django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None)),
            ],
            options={
                "verbose_name_plural": "comparison facts",
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["facets", "words"], gin_pending_list_limit=128, name="comparison_facets"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StepFacts",
            fields=[
                ("agrees", models.PositiveSmallIntegerField(default=0)),
                ("overrides", models.PositiveSmallIntegerField(default=0)),
                ("audits", models.PositiveIntegerField(default=0)),
                ("audited_at", models.DateTimeField(blank=True, null=True)),
                ("facets", django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None)),
                (
                    "step",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="facts",
                        serialize=False,
                        to="training_app.tracestep",
                    ),
                ),
                ("words", django.contrib.postgres.search.SearchVectorField()),
            ],
            options={
                "verbose_name_plural": "step facts",
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["facets", "words"], gin_pending_list_limit=128, name="step_facets"
                    ),
                    models.Index(
                        condition=models.Q(("audited_at__isnull", False)),
                        fields=["audited_at", "step"],
                        name="step_facts_by_audit",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditFacts",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("words", django.contrib.postgres.search.SearchVectorField()),
                ("facets", django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None)),
                (
                    "audit",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="facts",
                        to="training_app.audit",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "audit facts",
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["facets", "words"], gin_pending_list_limit=128, name="audit_facets"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LabelFacts",
            fields=[
                ("agrees", models.PositiveSmallIntegerField(default=0)),
                ("overrides", models.PositiveSmallIntegerField(default=0)),
                ("audits", models.PositiveIntegerField(default=0)),
                ("audited_at", models.DateTimeField(blank=True, null=True)),
                ("facets", django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None)),
                (
                    "label",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="facts",
                        serialize=False,
                        to="training_app.ailabel",
                    ),
                ),
                ("p_a", models.FloatField()),
                (
                    "comparison",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="training_app.comparison",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "label facts",
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["facets"], gin_pending_list_limit=128, name="label_facets"
                    ),
                    models.Index(fields=["comparison", "label"], name="label_facts_by_comparison"),
                    models.Index(fields=["p_a", "label"], name="label_facts_by_p_a"),
                    models.Index(
                        django.db.models.functions.math.Abs(
                            django.db.models.expressions.CombinedExpression(models.F("p_a"), "-", models.Value(0.5))
                        ),
                        models.F("label"),
                        name="label_facts_by_doubt",
                    ),
                    models.Index(
                        condition=models.Q(("audited_at__isnull", False)),
                        fields=["audited_at", "label"],
                        name="label_facts_by_audit",
                    ),
                ],
            },
        ),
        migrations.RunSQL(_facts.create(), _facts.drop()),
        migrations.RunSQL(_facts.fill(), migrations.RunSQL.noop),
    ]
