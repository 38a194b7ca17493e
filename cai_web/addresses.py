"""Addresses with a NUL are refused at the door: none of ours has one, and PostgreSQL cannot ask for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBadRequest
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def without_nul(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """A 400 for a NUL in the path or the query, wherever the address leads: filters, the admin site, the API."""
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> Any:
            return _refusal() if _has_nul(request) else await get_response(request)

        return answer_later

    def answer(request: HttpRequest) -> Any:
        return _refusal() if _has_nul(request) else get_response(request)

    return answer


def _has_nul(request: HttpRequest) -> bool:
    return "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")


def _refusal() -> HttpResponseBadRequest:
    return HttpResponseBadRequest("This address has a character in it that no address has.", content_type="text/plain")
