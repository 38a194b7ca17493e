"""Middleware that keeps a page on one thread of an ASGI server.

Django's own middleware can do both, and under ASGI it chooses to wait: each of nine then sends its few lines to a
thread and back, twice for every page. Behind one that cannot wait, they all run in the thread that renders the page.
Answers that stream are untouched: they are sent after the middleware is through with them.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_only_middleware


@sync_only_middleware
def kept_together(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Does nothing but be synchronous. It stands last, so that everything before it is called without waiting."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    return answer
