"""Wiring only, no domain code: settings, addresses, the queue, the app's own services, the supervisor."""

from __future__ import annotations

from cai_web.celery import app as celery_app

__all__ = ["celery_app"]
