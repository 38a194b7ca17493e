"""What a signed-in person sees is kept by no cache: not by a proxy, not on the disk of a shared machine."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase


def uncached(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Say so on every answer that depends on who asks, unless its view has said how it may be kept."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _marked(get_response(request))

    return answer


def _marked(response: HttpResponseBase) -> HttpResponseBase:
    # The session's middleware names the cookie here as soon as anybody has looked into the session.
    if "cookie" in response.get("Vary", "").lower():
        response.headers.setdefault("Cache-Control", "private, no-store")
    return response
