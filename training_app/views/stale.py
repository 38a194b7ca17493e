"""The worklist of what was made under words that mean something else now."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, get_state_for, require_role
from constitutions_app.models import Constitution
from training_app import stale

MOST_KEYS = 2_000
"""More principles than any comparison shows."""

LISTED = 50
"""Constitutions on the overview, those published last first."""


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def overview(request: AuthenticatedHttpRequest) -> HttpResponse:
    """One line per constitution: what is stale under its newest version of the main branch."""
    versions = stale.newest_versions().select_related("constitution").defer("canonical")
    lines = [stale.under(version) for version in versions.order_by("-created_at")[:LISTED]]
    ctx = {"lines": [line for line in lines if line.summary], "any": Constitution.objects.exists()}
    return render(request, "training/stale.html", ctx)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def under(request: AuthenticatedHttpRequest, slug: str, state: str) -> HttpResponse:
    """What is stale under one version or draft: a page, or the lines that pages about words ask for.

    `?key=` (many) asks for a line of each of these principles too, for the places `stale-KEY` of the asking page;
    `?only=` for the line of one principle and nothing else.
    """
    row = get_state_for(request.user, slug, state)
    found = stale.under(row)
    only = request.GET.get("only", "")
    ctx = {
        "constitution": row.constitution,
        "state_ref": state,
        "stale": found,
        "each": found.of([only] if only else request.GET.getlist("key")[:MOST_KEYS]),
    }
    if only and request.htmx:
        return render(request, "training/stale_under.html#only", ctx)
    return render(request, f"training/stale_under.html{'#line' if request.htmx else ''}", ctx)
