"""The Celery application. Messages only wake a worker; the database row decides (training_app/runner.py)."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")

# Django's checks import every page and the whole API, a third of what a worker's start takes, and after a crash runs
# wait for that. Whoever starts the web server, or calls `manage.py check`, runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")


class App(Celery):
    """Celery that first makes sure that the app's own Redis runs (where the app has its own)."""

    def connection_for_write(self, url: str | None = None, *args: Any, **kwargs: Any) -> Any:
        settings.OWN_SERVICES.ensure()
        return super().connection_for_write(url, *args, **kwargs)

    def connection_for_read(self, url: str | None = None, *args: Any, **kwargs: Any) -> Any:
        settings.OWN_SERVICES.ensure()
        return super().connection_for_read(url, *args, **kwargs)


app = App("cai_web")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
