"""A sampled comparison is named by its prompt's id, which is made of a set's slug and a key: up to 201 characters."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("training_app", "0002_freeze_judgements")]

    operations = [migrations.AlterField("comparison", "key", models.CharField(max_length=220))]
