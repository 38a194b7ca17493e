"""Queues of items to judge blind, who was given what, and how each person reads and judges."""

from __future__ import annotations

import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0013_checkpoints_are_released"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="audit",
            name="blind_choice",
            field=models.CharField(
                blank=True,
                choices=[("a", "response A"), ("b", "response B"), ("neither", "neither, or can't tell")],
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="audit",
            name="change_needed",
            field=models.BooleanField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audit",
            name="principle_fits",
            field=models.BooleanField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audit",
            name="seconds",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audit",
            name="shown_first",
            field=models.CharField(blank=True, choices=[("a", "A"), ("b", "B")], max_length=1),
        ),
        migrations.AlterField(
            model_name="audit",
            name="verdict",
            field=models.CharField(
                choices=[
                    ("agree", "agrees"),
                    ("override", "overrides"),
                    ("comment", "comments only"),
                    ("abstain", "cannot tell"),
                    ("withdraw", "takes it back"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="AuditorSettings",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "veil_from",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (1, "everything from red-team prompts"),
                            (2, "what is tagged as harmful"),
                            (3, "only what is tagged as severe"),
                            (9, "nothing"),
                        ],
                        default=2,
                    ),
                ),
                (
                    "veil_tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                    ),
                ),
                ("raw_text", models.BooleanField(default=False)),
                ("keys_on", models.BooleanField(default=True)),
                ("keys", models.JSONField(blank=True, default=dict)),
                ("break_after_items", models.PositiveSmallIntegerField(default=40)),
                ("break_after_minutes", models.PositiveSmallIntegerField(default=45)),
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="auditor_settings",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AuditQueue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[("labels", "AI labels"), ("steps", "critiques and revisions")], max_length=10
                    ),
                ),
                ("filters", models.CharField(blank=True, max_length=2000)),
                (
                    "rule",
                    models.CharField(
                        choices=[
                            ("uniform", "by chance, all alike"),
                            ("stratified", "by chance, the same number for each principle"),
                            ("uncertain", "where the judge was least sure"),
                            ("order", "where the judge changed its mind with the order"),
                            ("influential", "what training learns most from"),
                            ("newest", "newest first"),
                            ("disagreement", "where auditors disagree"),
                        ],
                        max_length=20,
                    ),
                ),
                ("seed", models.PositiveIntegerField(default=0)),
                (
                    "per_item",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(20),
                        ],
                    ),
                ),
                ("hide_principle", models.BooleanField(default=False)),
                ("goal", models.PositiveIntegerField(default=0)),
                ("items_count", models.PositiveIntegerField(default=0)),
                ("decisions", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "calibration_set",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="training_app.promptset",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "people",
                    models.ManyToManyField(blank=True, related_name="audit_queues", to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "ordering": ("-pk",),
            },
        ),
        migrations.CreateModel(
            name="QueueItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("why", models.CharField(max_length=300)),
                ("known", models.CharField(blank=True, choices=[("a", "A"), ("b", "B")], max_length=1)),
                ("wanted", models.PositiveSmallIntegerField()),
                ("taken", models.PositiveSmallIntegerField(default=0)),
                ("decided", models.PositiveSmallIntegerField(default=0)),
                (
                    "comparison",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="queued",
                        to="training_app.comparison",
                    ),
                ),
                (
                    "label",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="queued",
                        to="training_app.ailabel",
                    ),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="items", to="training_app.auditqueue"
                    ),
                ),
                (
                    "step",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="queued",
                        to="training_app.tracestep",
                    ),
                ),
            ],
            options={
                "ordering": ("queue", "position"),
            },
        ),
        migrations.CreateModel(
            name="Reservation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "being judged"),
                            ("decided", "decided"),
                            ("late", "decided after others had taken it"),
                            ("expired", "came back"),
                            ("refused", "refused"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("taken_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("shown_first", models.CharField(choices=[("a", "A"), ("b", "B")], max_length=1)),
                (
                    "choice",
                    models.CharField(
                        blank=True,
                        choices=[("a", "response A"), ("b", "response B"), ("neither", "neither, or can't tell")],
                        max_length=10,
                    ),
                ),
                ("answers", models.JSONField(blank=True, default=dict)),
                ("choice_key", models.UUIDField(blank=True, null=True)),
                ("chosen_at", models.DateTimeField(blank=True, null=True)),
                ("seconds", models.PositiveIntegerField(blank=True, null=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "audit",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="training_app.audit",
                    ),
                ),
                (
                    "auditor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reservations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reservations",
                        to="training_app.queueitem",
                    ),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reservations",
                        to="training_app.auditqueue",
                    ),
                ),
            ],
            options={
                "ordering": ("taken_at", "pk"),
            },
        ),
        migrations.CreateModel(
            name="Exposure",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("severity", models.PositiveSmallIntegerField()),
                ("at", models.DateTimeField(auto_now_add=True)),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="exposures",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "reservation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="exposures",
                        to="training_app.reservation",
                    ),
                ),
            ],
            options={
                "ordering": ("-at",),
            },
        ),
        migrations.AddConstraint(
            model_name="auditqueue",
            constraint=models.CheckConstraint(
                condition=models.Q(("per_item__gte", 1), ("per_item__lte", 20)), name="a_queue_asks_for_somebody"
            ),
        ),
        migrations.AddIndex(
            model_name="queueitem",
            index=models.Index(
                condition=models.Q(("taken__lt", models.F("wanted"))),
                fields=["queue", "position"],
                name="items_to_give",
            ),
        ),
        migrations.AddConstraint(
            model_name="queueitem",
            constraint=models.UniqueConstraint(fields=("queue", "position"), name="one_item_per_place_in_a_queue"),
        ),
        migrations.AddConstraint(
            model_name="queueitem",
            constraint=models.UniqueConstraint(
                condition=models.Q(("label__isnull", False)),
                fields=("queue", "label"),
                name="a_label_is_once_in_a_queue",
            ),
        ),
        migrations.AddConstraint(
            model_name="queueitem",
            constraint=models.UniqueConstraint(
                condition=models.Q(("step__isnull", False)), fields=("queue", "step"), name="a_step_is_once_in_a_queue"
            ),
        ),
        migrations.AddConstraint(
            model_name="queueitem",
            constraint=models.UniqueConstraint(
                condition=models.Q(("comparison__isnull", False)),
                fields=("queue", "comparison"),
                name="a_comparison_is_once_in_a_queue",
            ),
        ),
        migrations.AddConstraint(
            model_name="queueitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("comparison__isnull", True), ("label__isnull", False), ("step__isnull", True)),
                    models.Q(("comparison__isnull", True), ("label__isnull", True), ("step__isnull", False)),
                    models.Q(
                        ("comparison__isnull", False),
                        ("known__in", ("a", "b")),
                        ("label__isnull", True),
                        ("step__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="a_queue_item_is_one_thing",
            ),
        ),
        migrations.AddConstraint(
            model_name="queueitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("decided__lte", models.F("taken")), ("taken__lte", models.F("wanted"))),
                name="no_item_in_too_many_hands",
            ),
        ),
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(fields=["queue", "auditor", "state", "decided_at"], name="reservations_of_a_person"),
        ),
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(
                condition=models.Q(("state", "open")), fields=["expires_at"], name="reservations_to_expire"
            ),
        ),
        migrations.AddConstraint(
            model_name="reservation",
            constraint=models.UniqueConstraint(fields=("item", "auditor"), name="an_item_is_given_once_to_a_person"),
        ),
        migrations.AddIndex(
            model_name="exposure",
            index=models.Index(fields=["person", "-at"], name="exposures_of_a_person"),
        ),
        migrations.AddConstraint(
            model_name="exposure",
            constraint=models.UniqueConstraint(fields=("reservation",), name="an_exposure_is_counted_once"),
        ),
    ]
