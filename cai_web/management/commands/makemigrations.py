"""Django's `makemigrations`, which compares models with files and needs no server for that.

Django also looks into the database for migrations that were applied out of order, and only warns where there is none to
look into. Starting one for the sake of that look would be the wrong way round.
"""

from __future__ import annotations

import warnings
from typing import Any

from django.conf import settings
from django.core.management.commands import makemigrations


class Command(makemigrations.Command):
    def handle(self, *app_labels: str, **options: Any) -> None:
        settings.OWN_SERVICES.may_start = False
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Got an error checking a consistent migration history", RuntimeWarning)
            super().handle(*app_labels, **options)
