"""A thread may be about a principle as a whole; whether its words are gone is computed, not kept."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("constitutions_app", "0012_search")]

    operations = [
        migrations.RemoveField("thread", "orphaned"),
        migrations.AlterField("thread", "field", models.CharField(blank=True, max_length=40)),
    ]
