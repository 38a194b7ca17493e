"""Notifications by e-mail: which are due, and who wants none."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0013_whole_threads"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MailChoice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("by_mail", models.BooleanField(default=True)),
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mail_choice",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField("notification", "mail_due", models.BooleanField(default=False)),
        migrations.AddIndex(
            "notification",
            models.Index(
                condition=models.Q(("mail_due", True), ("mailed_at__isnull", True)),
                fields=["created_at"],
                name="notifications_to_mail",
            ),
        ),
    ]
