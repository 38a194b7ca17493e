"""Branches, forks, merges with two parents, movable aliases, and what an edit does to the meaning."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0004_ledger_by_verb"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Alias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.SlugField(max_length=40)),
                ("moved_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name_plural": "aliases",
                "ordering": ("name",),
            },
        ),
        migrations.AddField(
            model_name="constitution",
            name="forked_from",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="forks",
                to="constitutions_app.version",
            ),
        ),
        migrations.AddField(
            model_name="draft",
            name="branch",
            field=models.SlugField(default="main", max_length=60),
        ),
        migrations.AddField(
            model_name="draft",
            name="closed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="draft",
            name="merging",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="constitutions_app.version",
            ),
        ),
        migrations.AddField(
            model_name="draftprinciple",
            name="edit_kind",
            field=models.CharField(blank=True, choices=[("semantic", "Semantic"), ("minor", "Minor")], max_length=10),
        ),
        migrations.AddField(
            model_name="principleversion",
            name="change",
            field=models.CharField(
                blank=True,
                choices=[("same", "Same"), ("added", "Added"), ("semantic", "Semantic edit"), ("minor", "Minor edit")],
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="principleversion",
            name="since",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="version",
            name="branch",
            field=models.SlugField(default="main", max_length=60),
        ),
        migrations.AddField(
            model_name="version",
            name="second_parent",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="merged_into",
                to="constitutions_app.version",
            ),
        ),
        migrations.AlterField(
            model_name="draft",
            name="constitution",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="drafts", to="constitutions_app.constitution"
            ),
        ),
        migrations.AddConstraint(
            model_name="draft",
            constraint=models.UniqueConstraint(fields=("constitution", "branch"), name="one_draft_per_branch"),
        ),
        migrations.AddConstraint(
            model_name="draft",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("closed_at__isnull", True), models.Q(("branch", "main"), _negated=True), _connector="OR"
                ),
                name="the_main_branch_stays_open",
            ),
        ),
        migrations.AddField(
            model_name="alias",
            name="constitution",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="aliases", to="constitutions_app.constitution"
            ),
        ),
        migrations.AddField(
            model_name="alias",
            name="moved_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="alias",
            name="version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="aliases", to="constitutions_app.version"
            ),
        ),
        migrations.AddConstraint(
            model_name="alias",
            constraint=models.UniqueConstraint(fields=("constitution", "name"), name="one_version_per_alias"),
        ),
        migrations.AddConstraint(
            model_name="alias",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", "latest"), _negated=True), name="latest_is_computed"
            ),
        ),
    ]
