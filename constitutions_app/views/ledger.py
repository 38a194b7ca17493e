"""The ledger, a page at a time, and one entry of it."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, get_ledger_entry_for, require_role, untold_entries
from constitutions_app.comparing import about
from constitutions_app.forms.searching import LedgerFilterForm
from constitutions_app.ledger import chained_hash, verbs
from constitutions_app.models import LedgerEntry

PAGE = 50


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def index(request: AuthenticatedHttpRequest) -> HttpResponse:
    form = LedgerFilterForm(request.GET)
    form.is_valid()
    asked = form.cleaned_data
    entries, newer, older = _page_of(asked)
    kept = {name: asked[name] for name in ("object", "verb") if asked.get(name)}
    untold = untold_entries(request.user, entries)
    ctx = {
        "lines": [(entry, "" if entry.seq in untold else about(entry)) for entry in entries],
        "form": form,
        "filters": kept,
        "object_label": entries[0].object_label if entries and asked.get("object") else "",
        "verbs": verbs(),
        "previous": f"?{urlencode({**kept, 'after': entries[0].seq})}" if newer else "",
        "next": f"?{urlencode({**kept, 'before': entries[-1].seq})}" if older else "",
    }
    template = "constitutions/ledger.html#results" if request.htmx else "constitutions/ledger.html"
    return render(request, template, ctx)


@require_safe
@require_role()
def entry(request: AuthenticatedHttpRequest, seq: int) -> HttpResponse:
    found = get_ledger_entry_for(request.user, seq)
    data = json.dumps(json.loads(found.body)["data"], ensure_ascii=False, indent=2, sort_keys=True)
    ctx = {
        "entry": found,
        "data": "" if untold_entries(request.user, [found]) else data,
        "fits": chained_hash(found.previous_hash, found.body) == found.hash,
        "follows": found.seq == 1 or LedgerEntry.objects.filter(seq=found.seq - 1, hash=found.previous_hash).exists(),
        "newer": LedgerEntry.objects.filter(seq=found.seq + 1).exists(),
    }
    return render(request, "constitutions/ledger_entry.html", ctx)


def _page_of(asked: dict[str, Any]) -> tuple[list[LedgerEntry], bool, bool]:
    """Entries newest first, and whether there are newer and older ones; by position in the order, never by counting."""
    entries = LedgerEntry.objects.all()
    if asked.get("object"):
        kind, _, pk = asked["object"].partition(":")
        entries = entries.filter(object_type=kind, object_id=pk)
    if asked.get("verb"):
        entries = entries.filter(verb=asked["verb"])
    if asked.get("after") is not None:
        page = list(entries.filter(seq__gt=asked["after"]).order_by("seq")[: PAGE + 1])
        return page[:PAGE][::-1], len(page) > PAGE, True
    before = asked.get("before")
    page = list((entries.filter(seq__lt=before) if before else entries).order_by("-seq")[: PAGE + 1])
    return page[:PAGE], bool(before) and bool(page), len(page) > PAGE
