"""A judge or generator may be a model server instead of the run's base model; every run until now used its base."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("training_app", "0007_prompt_sets_say_who_wrote_them")]

    operations = [migrations.AddField("run", "other_models", models.JSONField(blank=True, default=dict))]
