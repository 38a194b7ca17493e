"""The WSGI application, for hosts that offer nothing else (live pages then fall back to polling)."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")
os.environ.setdefault("DATABASE_KEPT", "1")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
