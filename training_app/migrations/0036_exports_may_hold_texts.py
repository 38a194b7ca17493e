"""Exports of the explorer may hold texts, and annotated pairs with whoever annotated those that are written."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0035_facts_are_written_without_looking"),
    ]

    operations = [
        migrations.AddField(
            model_name="export",
            name="noted",
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name="export",
            name="texts",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "ids and figures"),
                    ("veiled", "with texts, but for those that the person has veiled"),
                    ("all", "with all texts"),
                ],
                max_length=10,
            ),
        ),
    ]
