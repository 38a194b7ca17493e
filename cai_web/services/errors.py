"""The one error of the services: a sentence for people."""

from __future__ import annotations


class ServiceError(RuntimeError):
    """Says in one sentence what is wrong with the app's own services and what to do about it."""
