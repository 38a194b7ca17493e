"""The history of one principle: who changed which words, when, why, and approved by whom."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from constitutions_app.access import AuthenticatedHttpRequest, get_draft_for, get_principle_for, require_role
from constitutions_app.histories import history_of


@require_safe
@require_role()
def version(request: AuthenticatedHttpRequest, slug: str, number: int, key: str) -> HttpResponse:
    row = get_principle_for(request.user, slug, number, key)
    ctx = {
        "constitution": row.version.constitution,
        "version": row.version,
        "history": history_of(row.version, key),
    }
    return render(request, "constitutions/blame.html", ctx)


@require_safe
@require_role()
def draft(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    draft = get_draft_for(request.user, slug)
    try:
        history = history_of(draft, key)
    except KeyError as error:
        raise Http404("The draft has no such principle.") from error
    ctx = {"constitution": draft.constitution, "draft": draft, "history": history}
    return render(request, "constitutions/blame.html", ctx)
