"""A judge's measurement can be cancelled: one more state it may end in."""

from __future__ import annotations

from django.db import migrations, models

STATES = ("queued", "running", "succeeded", "failed", "cancelled")


class Migration(migrations.Migration):
    dependencies = [("training_app", "0017_base_models_are_registered")]

    operations = [
        migrations.RemoveConstraint(model_name="judgeevaluation", name="judge_evaluation_state_is_known"),
        migrations.AlterField(
            model_name="judgeevaluation",
            name="state",
            field=models.CharField(choices=[(state, state) for state in STATES], default="queued", max_length=12),
        ),
        migrations.AddConstraint(
            model_name="judgeevaluation",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", STATES)), name="judge_evaluation_state_is_known"
            ),
        ),
    ]
