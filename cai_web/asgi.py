"""The ASGI application. Serving pages wants connections that stay open; commands and workers do not."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")
os.environ.setdefault("DATABASE_KEPT", "1")

from cai_web.one_thread import get_application

application = get_application()
