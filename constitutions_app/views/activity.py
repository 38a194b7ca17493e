"""The activity of one constitution: its part of the ledger, in words."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, get_constitution_for, require_role
from constitutions_app.activity import Asked, page_of, people_of, verbs_of
from constitutions_app.comparing import about
from constitutions_app.forms.searching import ActivityForm
from constitutions_app.templatetags.constitutions import verb_words

KEPT = ("person", "verb", "principle")


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def index(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    constitution = get_constitution_for(request.user, slug)
    people = [(str(pk), name) for pk, name in people_of(constitution)]
    form = ActivityForm(request.GET, people=people, verbs=[(verb, verb_words(verb)) for verb in verbs_of(constitution)])
    form.is_valid()
    said = form.cleaned_data
    asked = Asked(
        person=int(said["person"]) if said.get("person") else None,
        verb=said.get("verb", ""),
        principle=said.get("principle", ""),
        before=said.get("before"),
    )
    entries, older = page_of(constitution, asked)
    kept = {name: said[name] for name in KEPT if said.get(name)}
    ctx = {
        "constitution": constitution,
        "form": form,
        "filtered": bool(kept),
        "lines": [(entry, about(entry)) for entry in entries],
        "newest": f"?{urlencode(kept)}" if asked.before else "",
        "next": f"?{urlencode({**kept, 'before': entries[-1].seq})}" if older else "",
    }
    return render(request, f"constitutions/activity.html{'#results' if request.htmx else ''}", ctx)
