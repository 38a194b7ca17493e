"""Which checkpoint people use, who signed it off, and which roles must; what somebody signed is kept for ever."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from constitutions_app.migrations._freezing import freeze, unfreeze


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0015_activity_by_index"),
        ("training_app", "0012_facts_for_exploring"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ReleaseRules",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "roles",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("reader", "Reader"),
                                ("author", "Author"),
                                ("reviewer", "Reviewer"),
                                ("auditor", "Auditor"),
                                ("engineer", "Engineer"),
                                ("admin", "Admin"),
                            ],
                            max_length=20,
                        ),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "constitution",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="release_rules",
                        to="constitutions_app.constitution",
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
                "verbose_name_plural": "release rules",
            },
        ),
        migrations.CreateModel(
            name="CheckpointAlias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(choices=[("candidate", "candidate"), ("production", "production")], max_length=20),
                ),
                ("moved_at", models.DateTimeField(auto_now=True)),
                (
                    "checkpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="aliases",
                        to="training_app.checkpoint",
                    ),
                ),
                (
                    "constitution",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="checkpoint_aliases",
                        to="constitutions_app.constitution",
                    ),
                ),
                (
                    "moved_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "checkpoint aliases",
                "ordering": ("name",),
                "constraints": [
                    models.UniqueConstraint(fields=("constitution", "name"), name="one_checkpoint_per_alias"),
                    models.CheckConstraint(
                        condition=models.Q(("name__in", ("candidate", "production"))), name="alias_is_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SignOff",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("reader", "Reader"),
                            ("author", "Author"),
                            ("reviewer", "Reviewer"),
                            ("auditor", "Auditor"),
                            ("engineer", "Engineer"),
                            ("admin", "Admin"),
                        ],
                        max_length=20,
                    ),
                ),
                ("word", models.CharField(choices=[("approve", "signs off"), ("refuse", "refuses")], max_length=10)),
                ("note", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "checkpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sign_offs",
                        to="training_app.checkpoint",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("pk",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("word__in", ("approve", "refuse"))), name="sign_off_word_is_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("word", "refuse"), _negated=True),
                            models.Q(("note", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="a_refusal_says_why",
                    ),
                ],
            },
        ),
        migrations.RunSQL(freeze("training_app_signoff"), unfreeze("training_app_signoff")),
    ]
