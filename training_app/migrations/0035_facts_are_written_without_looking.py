"""Facts of labels, steps and comparisons are inserted without asking whether they are there: they cannot be."""

from __future__ import annotations

from django.db import migrations

from training_app.migrations import _facts, _tallies


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0034_files_are_written_for_people"),
    ]

    operations = [
        migrations.RunSQL(_tallies.notes("labels", _tallies.MADE_LABELS), migrations.RunSQL.noop),
        migrations.RunSQL(_tallies.notes("steps", _tallies.MADE_STEPS), migrations.RunSQL.noop),
        migrations.RunSQL(_facts.describe_anew("comparisons"), migrations.RunSQL.noop),
    ]
