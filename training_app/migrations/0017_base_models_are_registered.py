"""Base models as they were when somebody registered them: size, licence, digest, chat template; never changed."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from constitutions_app.migrations._freezing import freeze, unfreeze

TABLE = "training_app_registeredmodel"


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0002_freeze_versions_and_ledger"),
        ("training_app", "0016_ends_by_index_and_saved_views"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            "RegisteredModel",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("digest", models.CharField(max_length=64)),
                ("size_bytes", models.PositiveBigIntegerField()),
                ("parameters", models.PositiveBigIntegerField(blank=True, null=True)),
                ("licence", models.CharField(blank=True, max_length=100)),
                ("family", models.CharField(blank=True, max_length=60)),
                ("hub", models.CharField(blank=True, max_length=200)),
                ("revision", models.CharField(blank=True, max_length=40)),
                ("chat_template", models.TextField(blank=True)),
                ("rendered", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "registered_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            {
                "ordering": ("-pk",),
                "constraints": [models.UniqueConstraint(fields=("name", "digest"), name="a_model_is_registered_once")],
            },
        ),
        migrations.RunSQL(freeze(TABLE), unfreeze(TABLE)),
    ]
