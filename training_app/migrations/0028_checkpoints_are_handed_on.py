"""Checkpoints that people handed on to a hub."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0027_answers_have_features"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="HubCopy",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        default="queued",
                        max_length=12,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("advice", models.TextField(blank=True)),
                ("done", models.PositiveIntegerField(default=0)),
                ("eta_s", models.FloatField(blank=True, null=True)),
                ("attempt", models.PositiveIntegerField(default=0)),
                ("fencing_token", models.PositiveBigIntegerField(default=0)),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("repository", models.CharField(blank=True, max_length=200)),
                ("endpoint", models.CharField(blank=True, max_length=200)),
                ("is_private", models.BooleanField(default=True)),
                ("total", models.PositiveIntegerField(default=0)),
                ("commit", models.CharField(blank=True, max_length=64)),
                (
                    "checkpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="hub_copies",
                        to="training_app.checkpoint",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "hub copies",
                "ordering": ("-created_at",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ("queued", "running", "succeeded", "failed", "cancelled"))),
                        name="hub_copy_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "succeeded"), _negated=True),
                            ("repository", ""),
                            models.Q(("commit", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="a_pushed_copy_has_its_commit",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ("queued", "running"))),
                        fields=("checkpoint",),
                        name="one_hub_copy_under_way_per_checkpoint",
                    ),
                ],
            },
        ),
    ]
