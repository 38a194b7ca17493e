"""Where people disagree somebody has the last word, with the reason; it is kept for ever, and builds name it."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from constitutions_app.migrations._freezing import freeze, unfreeze


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0022_numbers_are_kept"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Adjudication",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("verdict", models.CharField(choices=[("agree", "agrees"), ("override", "overrides")], max_length=10)),
                (
                    "choice",
                    models.CharField(
                        blank=True,
                        choices=[("a", "response A"), ("b", "response B"), ("neither", "neither, or can't tell")],
                        max_length=10,
                    ),
                ),
                ("note", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "adjudicator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adjudications",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "label",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adjudications",
                        to="training_app.ailabel",
                    ),
                ),
                (
                    "step",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adjudications",
                        to="training_app.tracestep",
                    ),
                ),
            ],
            options={
                "ordering": ("created_at", "pk"),
            },
        ),
        migrations.AddField(
            model_name="datasetitem",
            name="adjudication",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="used_in",
                to="training_app.adjudication",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjudication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("label__isnull", False), ("step__isnull", True)),
                    models.Q(("label__isnull", True), ("step__isnull", False)),
                    _connector="OR",
                ),
                name="an_adjudication_has_one_item",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjudication",
            constraint=models.CheckConstraint(
                condition=models.Q(("label__isnull", True), models.Q(("choice", ""), _negated=True), _connector="OR"),
                name="an_adjudicated_label_has_a_choice",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjudication",
            constraint=models.CheckConstraint(
                condition=models.Q(("note", ""), _negated=True), name="an_adjudication_says_why"
            ),
        ),
        migrations.RunSQL(freeze("training_app_adjudication"), unfreeze("training_app_adjudication")),
    ]
