"""Indexes by which the activity of a constitution is found, filtered or not, without reading the rest of the ledger."""

from __future__ import annotations

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0014_mail"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["object_type", "object_id", "verb", "-seq"], name="ledger_by_object_and_verb"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["object_type", "object_id", "actor", "-seq"], name="ledger_by_object_and_actor"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(
                models.F("object_id"),
                models.Func(
                    models.F("body"),
                    models.Value('"principle":"([^"]{1,80})"'),
                    function="substring",
                    output_field=models.TextField(),
                ),
                models.OrderBy(models.F("seq"), descending=True),
                condition=models.Q(("object_type", "constitutions_app.constitution")),
                name="ledger_by_principle",
            ),
        ),
    ]
