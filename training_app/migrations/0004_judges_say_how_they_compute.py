"""Backend, layout and voting belong to a judge; every judge until now read log-probabilities locally."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("training_app", "0003_room_for_whole_prompt_ids")]

    operations = [
        migrations.AddField("judge", "backend", models.CharField(default="local", max_length=20)),
        migrations.AddField("judge", "layout", models.CharField(blank=True, default="", max_length=40)),
        migrations.AddField("judge", "sampling", models.CharField(blank=True, default="", max_length=60)),
    ]
