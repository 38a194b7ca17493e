"""Django's PostgreSQL backend with one addition: see base.py."""

from __future__ import annotations
