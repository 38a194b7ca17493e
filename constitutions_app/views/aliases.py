"""Aliases: the addresses that lead to the version they point to now, and moving one."""

from __future__ import annotations

from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_POST, require_safe

from constitutions_app import actions
from constitutions_app.access import (
    WRITERS,
    AuthenticatedHttpRequest,
    get_alias_for,
    get_constitution_for,
    get_version_for,
    require_role,
)
from constitutions_app.forms.versions import AliasForm


@require_safe
@require_role()
def follow(request: AuthenticatedHttpRequest, slug: str, alias: str, rest: str = "") -> HttpResponse:
    """On to the same page of the version that the alias points to now; browsers must ask again next time."""
    version = get_alias_for(request.user, slug, alias)
    address = reverse("constitutions:version", args=[slug, version.number]) + quote(rest, safe="/@:")
    response = redirect(address + (f"?{request.META['QUERY_STRING']}" if request.META.get("QUERY_STRING") else ""))
    add_never_cache_headers(response)
    return response


@require_POST
@require_role(*WRITERS)
def move(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    constitution = get_constitution_for(request.user, slug)
    form = AliasForm(request.POST)
    if not form.is_valid():
        messages.error(request, "No alias was moved. Name it, and say which version it points to.")
        return redirect("constitutions:versions", slug)
    number = form.cleaned_data["number"]
    version = get_version_for(request.user, slug, number) if number else None
    name = form.cleaned_data["name"]
    try:
        actions.move_alias(user=request.user, constitution=constitution, name=name, version=version)
    except actions.Refused as refusal:
        messages.error(request, f"The alias was not moved. {refusal}")
    else:
        messages.success(request, f"“{name}” points to {version} now." if version else f"“{name}” is gone.")
    return redirect("constitutions:versions", slug)
