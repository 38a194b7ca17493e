"""Addresses with a NUL are refused at the door: none of ours has one, and PostgreSQL cannot ask for one."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase
from django.views.defaults import bad_request


def without_nul(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """A 400 for a NUL in the path or the query, wherever the address leads: filters, the admin site, the API."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _refusal(request) if _has_nul(request) else get_response(request)

    return answer


def _has_nul(request: HttpRequest) -> bool:
    return "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")


def _refusal(request: HttpRequest) -> HttpResponse:
    """The app's own page for people, a line for programs."""
    if request.path_info.startswith("/api/"):
        sentence = "This address has a character in it that no address has."
        return HttpResponseBadRequest(sentence, content_type="text/plain")
    return bad_request(request, SuspiciousOperation("There is a NUL in the address."))
