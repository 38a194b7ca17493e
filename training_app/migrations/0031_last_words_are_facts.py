"""What the explorer says people made of an item follows from whoever had the last word on it, and says so."""

from __future__ import annotations

from django.db import migrations, models

from training_app.migrations import _last_words


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0030_times_and_keys_together"),
    ]

    operations = [
        migrations.AddField(
            model_name="labelfacts",
            name="agreement",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="labelfacts",
            name="choice",
            field=models.CharField(blank=True, db_default="", default="", max_length=10),
        ),
        migrations.AddField(
            model_name="stepfacts",
            name="agreement",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stepfacts",
            name="choice",
            field=models.CharField(blank=True, db_default="", default="", max_length=10),
        ),
        migrations.RunSQL(_last_words.replace(), _last_words.put_back()),
        migrations.RunSQL(_last_words.describe_anew(), migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="labelfacts",
            index=models.Index(
                condition=models.Q(("facets__contains", [150994947])),
                fields=["agreement", "label"],
                name="label_facts_disputed",
            ),
        ),
        migrations.AddIndex(
            model_name="stepfacts",
            index=models.Index(
                condition=models.Q(("facets__contains", [150994947])),
                fields=["agreement", "step"],
                name="step_facts_disputed",
            ),
        ),
    ]
