"""The ledger can be asked for one verb without reading every entry."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("constitutions_app", "0003_roles")]

    operations = [
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["verb", "-seq"], name="ledger_by_verb"),
        ),
    ]
