"""The numbers over audits: how far judge and people agree, whether p(A) is calibrated, and each principle's record.

The scope stands in the URL. Figures come from `numbers.keeping`: computed here where there is little to read, else as a
worker left them, with the time. Nothing on these pages tells what was chosen on one item that the reader has yet to
judge: figures are sums, and the examples of a principle leave such items out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, can_write, require_role
from training_app.access import can_make_queues, get_cited_principle_for, hides_judgement
from training_app.actions import ask_for_numbers
from training_app.explorer.tokens import STATES, Fact, token
from training_app.models import AILabel, LabelFacts
from training_app.numbers.keeping import Numbers, numbers_of
from training_app.numbers.scope import Scope
from training_app.numbers.telling import scope_for
from training_app.plots import Curve, Drawing, Point, draw, number
from training_app.views.number_forms import ScopeForm

FIGURES = (
    ("raw", "Raw agreement", "Share of items on which both chose the same."),
    ("cohen", "Cohen kappa", "Beyond chance, from how often each chooses what."),
    ("fleiss", "Fleiss kappa", "Beyond chance, for any number of people."),
    ("alpha", "Krippendorff alpha", "Beyond chance, with ratings missing."),
    ("ac1", "Gwet AC1", "Beyond chance, steady where nearly all items are of one kind."),
)
MOST_EXAMPLES = 20


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def overview(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Agreement of everything in scope, over time, and calibration."""
    scope, numbers = _asked(request)
    data = numbers.data or {}
    context = _context(request, scope, numbers) | {
        "figures": figure_rows(data.get("whole", {})),
        "plots": [plot for plot in (weeks_plot(data), calibration_plot(data)) if plot],
    }
    return render(request, "training/numbers.html", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def principles(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every principle's record, where two of them pull apart, and which were never cited."""
    scope, numbers = _asked(request)
    context = _context(request, scope, numbers) | {"matrix": matrix_of((numbers.data or {}).get("pairs", ()))}
    return render(request, "training/numbers_principles.html", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def people(request: AuthenticatedHttpRequest) -> HttpResponse:
    """By judge, by auditor, by tag."""
    scope, numbers = _asked(request)
    return render(request, "training/numbers_people.html", _context(request, scope, numbers))


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def principle(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """One principle at its version: its figures, what people overrode, and the way to its words."""
    cited = get_cited_principle_for(request.user, pk)
    scope = Scope(principle=pk)
    numbers = numbers_of(scope_for(scope, request.user))
    rows = [one for one in (numbers.data or {}).get("principles", ()) if one["pk"] == pk]
    context = _context(request, scope, numbers) | {
        "cited": cited,
        "record": rows[0] if rows else None,
        "figures": figure_rows((numbers.data or {}).get("whole", {})),
        "plots": [plot for plot in (weeks_plot(numbers.data or {}), calibration_plot(numbers.data or {})) if plot],
        "examples": examples_of(request, pk),
        "can_write": can_write(request.user),
    }
    return render(request, "training/numbers_principle.html", context)


@require_POST
@require_role()
def refresh(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Ask a worker for newer figures of the scope in the form; back to where it was asked."""
    ask_for_numbers(scope=scope_for(Scope.from_query(request.POST), request.user))
    messages.success(request, "Newer figures are being computed. Load the page again in a moment.")
    back = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts=None) and back.startswith("/")
    return redirect(back if safe else reverse("training:numbers"))


def figure_rows(group: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of a group as rows: between judge and people, among people on labels, among people on steps."""
    sides = [group.get(name, {}) for name in ("judge", "people", "people_on_steps")]
    return [
        {"name": words, "means": means, "is_share": name == "raw", "cells": [side.get(name) for side in sides]}
        for name, words, means in FIGURES
        if any(side.get(name) for side in sides)
    ]


def weeks_plot(data: Mapping[str, Any]) -> Drawing | None:
    """The override rate week by week, in percent, with its interval."""
    weeks = [(date.fromisoformat(one["week"]), one["overridden"]) for one in data.get("weeks", ())]
    points = tuple(
        Point((week - weeks[0][0]).days // 7 + 1, *(100 * one for one in (rate["value"], *rate["interval"])))
        for week, rate in weeks
        if rate["interval"] is not None
    )
    title = "Overridden in percent"
    drawn = draw("weeks", title, [Curve("overridden, %", points)], x_name="week") if points else None
    if drawn is None:
        return None
    first, last = weeks[0][0], weeks[-1][0]
    number_of_last = (last - first).days // 7 + 1
    return replace(drawn, title=f"{title}, week 1 ({first:%-d %b %Y}) to {number_of_last} ({last:%-d %b %Y})")


def calibration_plot(data: Mapping[str, Any]) -> Drawing | None:
    """What share of people preferred A over p(A), and the line on which a calibrated judge lies."""
    found = data.get("calibration", {})
    if not found.get("bins"):
        return None
    said = tuple(Point(one["mean"], one["chosen"]["value"], *one["chosen"]["interval"]) for one in found["bins"])
    curves = [Curve("people", said), Curve("calibrated", (Point(0.0, 0.0), Point(1.0, 1.0)))]
    drawn = draw("calibration", "People preferred A, by p(A)", curves, x_name="p(A)")
    return replace(drawn, now=f"ECE {number(found['ece']['value'])}") if drawn else None


def matrix_of(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Principles against principles: the share of common comparisons on which they chose opposite responses."""
    names = {one["pk"]: one for pair in pairs for one in (pair["one"], pair["other"])}
    order = sorted(names, key=lambda pk: (names[pk]["slug"], names[pk]["number"], names[pk]["title"]))
    cells = {frozenset((pair["one"]["pk"], pair["other"]["pk"])): pair for pair in pairs}
    rows = [
        {"name": names[pk], "place": place, "cells": [cells.get(frozenset((pk, other))) for other in order]}
        for place, pk in enumerate(order, start=1)
    ]
    return {"rows": rows, "places": range(1, len(order) + 1)}


def examples_of(request: AuthenticatedHttpRequest, pk: int) -> list[AILabel]:
    """Labels under a principle that people override, newest first; what the reader has yet to judge is left out."""
    wanted = [token(Fact.PRINCIPLE, pk), token(Fact.STATE, STATES.index("overridden"))]
    found = LabelFacts.objects.filter(facets__contains=wanted).order_by("-label_id")[:MOST_EXAMPLES]
    labels = AILabel.objects.filter(pk__in=list(found.values_list("label_id", flat=True)))
    listed = list(labels.select_related("comparison", "run").defer("sent_ab", "sent_ba").order_by("-pk"))
    hidden = hides_judgement(request.user, listed)
    return [label for label in listed if label not in hidden]


def _asked(request: AuthenticatedHttpRequest) -> tuple[Scope, Numbers]:
    scope = Scope.from_query(request.GET)
    return scope, numbers_of(scope_for(scope, request.user))


def _context(request: AuthenticatedHttpRequest, scope: Scope, numbers: Numbers) -> dict[str, Any]:
    query = scope.to_query()
    return {
        "numbers": numbers,
        "data": numbers.data,
        "scope": scope,
        "query": f"?{query}" if query else "",
        "asked": [(name, str(value)) for name, value in scope.asked.items()],
        "form": ScopeForm(request.GET),
        "back": request.get_full_path(),
        "can_make_queues": can_make_queues(request.user),
    }
