"""Search: one page for everything that people wrote about constitutions."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, get_constitution_for, require_role
from constitutions_app.forms.searching import SearchForm
from constitutions_app.models import Constitution
from constitutions_app.searching import SHOWN, search


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def index(request: AuthenticatedHttpRequest) -> HttpResponse:
    names = list(Constitution.objects.values_list("slug", "name"))
    form = SearchForm(request.GET, constitutions=names)
    form.is_valid()
    asked = form.cleaned_data
    slug = asked.get("constitution")
    inside = get_constitution_for(request.user, slug) if slug else None
    hits = search(asked.get("q", ""), inside, asked.get("where", ""))
    ctx = {"form": form, "asked": asked.get("q", ""), "hits": hits, "most": SHOWN, "full": len(hits) == SHOWN}
    return render(request, f"constitutions/search.html{'#results' if request.htmx else ''}", ctx)
