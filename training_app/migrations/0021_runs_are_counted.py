"""What each run made and how it was judged is counted as it is written, so that no page counts rows."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from training_app.migrations import _tallies


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0020_runs_are_compared"),
    ]

    operations = [
        migrations.CreateModel(
            name="RunAudits",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="audit_tally",
                        serialize=False,
                        to="training_app.run",
                    ),
                ),
                ("labels_audited", models.PositiveIntegerField(default=0)),
                ("labels_overridden", models.PositiveIntegerField(default=0)),
                ("steps_audited", models.PositiveIntegerField(default=0)),
                ("steps_overridden", models.PositiveIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "run audits",
            },
        ),
        migrations.CreateModel(
            name="RunTally",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="tally",
                        serialize=False,
                        to="training_app.run",
                    ),
                ),
                ("labels", models.PositiveIntegerField(default=0)),
                ("same_position", models.PositiveIntegerField(default=0)),
                ("steps", models.PositiveIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "run tallies",
            },
        ),
        migrations.RunSQL(_tallies.replace(), _tallies.put_back()),
        migrations.RunSQL(_tallies.count_again(), migrations.RunSQL.noop),
    ]
