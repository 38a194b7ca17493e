"""The ASGI application. Serving pages wants a connection pool; commands and workers do not."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")
os.environ.setdefault("DATABASE_POOL", "1")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
