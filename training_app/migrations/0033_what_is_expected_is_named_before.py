"""What people expect of compared runs is named when they are launched, and what was launched never changes."""

from __future__ import annotations

from django.db import migrations, models

from constitutions_app.migrations._freezing import freeze, unfreeze


class Migration(migrations.Migration):
    dependencies = [("training_app", "0032_labels_name_sets_of_comparisons")]

    operations = [
        migrations.AddField(model_name="rungroup", name="expects", field=models.JSONField(blank=True, default=list)),
        migrations.RunSQL(freeze("training_app_rungroup"), unfreeze("training_app_rungroup")),
    ]
