"""The pages for what is not there and for what somebody may not see."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views import defaults


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _without_keeping_a_connection(defaults.page_not_found, request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return _without_keeping_a_connection(defaults.permission_denied, request, exception)


def _without_keeping_a_connection(
    page: Callable[[HttpRequest, Exception], HttpResponse], request: HttpRequest, exception: Exception
) -> HttpResponse:
    """The page; the database connection it needed (to greet whoever is signed in) is given back at once.

    Under ASGI, Django makes these pages on threads on which no request ever ends. A connection opened there would be
    missing from the pool for good, and would stay in use, dead, when the database had been restarted.
    """
    try:
        return page(request, exception)
    finally:
        if not connection.in_atomic_block:
            connection.close()
