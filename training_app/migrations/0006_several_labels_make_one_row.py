"""A training row whose target several principles' labels make together names each of them."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("training_app", "0005_keep_every_asking_of_a_label")]

    operations = [
        migrations.AlterModelOptions("datasetitem", {"ordering": ("position", "part")}),
        migrations.AddField("datasetitem", "part", models.PositiveSmallIntegerField(default=0)),
        migrations.RemoveConstraint("datasetitem", "one_item_per_position_of_a_build"),
        migrations.AddConstraint(
            "datasetitem",
            models.UniqueConstraint(fields=("build", "position", "part"), name="one_item_per_part_of_a_row"),
        ),
    ]
