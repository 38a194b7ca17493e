"""People order the queue, pause it, and may discard what a stopped run would need to be resumed."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0015_activity_by_index"),
        ("training_app", "0014_queues_of_items_to_judge"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="RunQueue",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("paused", models.BooleanField(default=False)),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.AddField(
            model_name="run",
            name="discarded",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="run",
            name="place",
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="priority",
            field=models.SmallIntegerField(choices=[(1, "high"), (0, "normal"), (-1, "low")], default=0),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(("priority__in", [1, 0, -1])), name="run_priority_is_known"
            ),
        ),
        migrations.AddField(
            model_name="runqueue",
            name="changed_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="runqueue",
            constraint=models.CheckConstraint(condition=models.Q(("id", 1)), name="there_is_one_queue_of_runs"),
        ),
    ]
