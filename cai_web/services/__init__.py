"""The app's own PostgreSQL and Redis: real servers out of wheels, living under `var/` while somebody uses them."""

from __future__ import annotations

from cai_web.services.errors import ServiceError
from cai_web.services.own import OwnServices

__all__ = ["OwnServices", "ServiceError"]
