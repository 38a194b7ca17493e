"""The explorer: everything the AI and people judged, found by what is true of it. The address holds the question."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import SCENARIO_WRITERS, AuthenticatedHttpRequest, has_role, require_role
from constitutions_app.actions import Refused
from constitutions_app.composed import Composed, Later
from training_app.access import can_make_queues, hides_judgement
from training_app.actions import keep_view, make_scenario, remove_view
from training_app.explorer.facets import GROUPS, counted_for, groups_for
from training_app.explorer.filters import PLURALS, WORDS, Filters
from training_app.explorer.finding import CONSIDERED, find, is_place
from training_app.models import AILabel, SavedView, TraceStep
from training_app.refusals import ViewRefused
from training_app.views.explorer_form import form_of, in_words
from training_app.views.explorer_rows import rows_of

MOST_AT_ONCE = 50
"""Scenarios made with one click."""
MOST_TOLD = 5
"""Names of no filter that a page tells."""
TABS = (("label", "AI labels"), ("step", "Traces"), ("comparison", "Comparisons"), ("audit", "Audits"))


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def explore(request: AuthenticatedHttpRequest) -> HttpResponse:
    """One page of one kind of item."""
    asked = Filters.from_query(request.GET)
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    page = find(asked, after=after, before=before, user=request.user)
    query = asked.to_query().urlencode()
    context: dict[str, Any] = {
        "asked": asked,
        "problems": [*asked.problems, *_not_understood(request, asked)],
        "query": query,
        "rows": rows_of(asked, page.items, request.user),
        "previous": f"?{query}&before={page.before}" if page.before else "",
        "next": f"?{query}&after={page.after}" if page.after else "",
        "looked_back": page.looked_back,
        "considered": CONSIDERED,
        "plural": PLURALS[asked.kind],
        "chosen": in_words(asked),
        "can_make_scenarios": asked.kind in ("label", "step") and has_role(request.user, *SCENARIO_WRITERS),
        "can_make_queues": asked.kind in ("label", "step") and can_make_queues(request.user),
    }
    if request.htmx:
        return render(request, "training/explore.html#results", context)
    context |= {
        "form": form_of(asked),
        "tabs": [(words, kind, _other_kind(asked, kind)) for kind, words in TABS],
        "groups": groups_for(asked),
        "views": _VIEWS.all(person=request.user.pk),
        **_counts(request, asked),
    }
    return render(request, "training/explore.html", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def explore_counts(request: AuthenticatedHttpRequest) -> HttpResponse:
    """How many items fit with one more filter, for one group of filters."""
    asked = Filters.from_query(request.GET)
    if not request.htmx:
        return redirect(f"{reverse('training:explore')}?{request.GET.urlencode()}")
    context = {"asked": asked, "query": asked.to_query().urlencode(), "groups": groups_for(asked)}
    return render(request, "training/explore.html#counts", context | _counts(request, asked))


@require_POST
@require_role()
def keep(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Keep the question under a name."""
    asked = Filters.from_query(request.GET)
    try:
        view = keep_view(user=request.user, name=request.POST.get("name", ""), asked=asked,
                         shared=request.POST.get("shared") == "yes")  # fmt: skip
        messages.success(request, f"The view “{view.name}” is kept{' and shared' if view.shared else ''}.")
    except ViewRefused as refusal:
        messages.error(request, f"The view was not kept. {refusal}")
    return redirect(f"{reverse('training:explore')}?{asked.to_query().urlencode()}")


@require_POST
@require_role()
def remove(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Take one's own view away."""
    view = get_object_or_404(SavedView, pk=pk, owner=request.user)
    name = view.name
    remove_view(user=request.user, view=view)
    messages.success(request, f"The view “{name}” is removed. Its address goes on answering.")
    return redirect("training:explore")


@require_POST
@require_role(*SCENARIO_WRITERS)
def make_scenarios(request: AuthenticatedHttpRequest) -> HttpResponse:
    """A scenario of each chosen label or step; those that cannot be one are told, the others are made."""
    asked = Filters.from_query(request.GET)
    keys = [int(one) for one in request.POST.getlist("item") if one.isascii() and one.isdigit() and len(one) < 19]
    table: Any = TraceStep if asked.kind == "step" else AILabel
    items = list(table.objects.filter(pk__in=keys[:MOST_AT_ONCE]).select_related("principle__version__constitution"))
    hidden = hides_judgement(request.user, items)
    made, problems = 0, []
    for item in items:
        if item in hidden:
            problems.append(f"{item} waits for your own blind choice.")
            continue
        try:
            make_scenario(user=request.user, item=item)
            made += 1
        except Refused as refusal:
            problems.append(f"{item}: {refusal}")
    if made:
        messages.success(request, f"{made} scenario{'' if made == 1 else 's'} made.")
    if not keys:
        messages.info(request, "Choose items first; no scenario was made.")
    for problem in problems[:5]:
        messages.error(request, problem)
    return redirect(f"{reverse('training:explore')}?{asked.to_query().urlencode()}")


def _not_understood(request: AuthenticatedHttpRequest, asked: Filters) -> list[str]:
    """What else the address holds that means nothing: names of no filter, places that are none."""
    places = [name for name in ("after", "before") if request.GET.get(name)]
    unknown = sorted(request.GET.keys() - WORDS.keys() - {"kind", "count", "after", "before"})
    return [
        *(f"There is no filter “{name[:40]}”, so it filters nothing." for name in unknown[:MOST_TOLD]),
        *(
            f"“{name}” names no place in this list; it begins at the beginning."
            for name in places
            if not is_place(request.GET[name], asked.sort)
        ),
    ]


def _counts(request: AuthenticatedHttpRequest, asked: Filters) -> dict[str, Any]:
    """The counts of the group that the address names; none where they could give away what is kept from the person."""
    name = request.GET.get("count", "")
    if name not in GROUPS or GROUPS[name] not in groups_for(asked):
        return {}
    counts = counted_for(asked, name, request.user)
    return {"counting": name, "withheld": counts is None, "counts": counts or [], "counting_words": GROUPS[name].words}


_VIEWS: Composed[SavedView] = Composed(
    lambda: (
        SavedView.objects.filter(Q(owner=Later("person")) | Q(shared=True))
        .select_related("owner")
        .only("name", "query", "shared", "owner__username", "owner__first_name", "owner__last_name")
    )
)
"""The questions that are kept, one's own and those for everybody, with no more of their owners than their names."""


def _other_kind(asked: Filters, kind: str) -> str:
    """The address of the same question about another kind of item; filters that say nothing about it fall away."""
    query = asked.to_query()
    query["kind"] = kind
    query.pop("sort", None)
    query.pop("like", None)
    return Filters.from_query(query).to_query().urlencode()
