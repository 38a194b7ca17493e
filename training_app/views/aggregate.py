"""Other targets from the labels a run already has: what they would be, and a dataset build made of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import can_launch, get_run_for, get_run_to_steer_for
from training_app.actions import build_dataset
from training_app.core.aggregate import HOW, Aggregation
from training_app.forms import AggregateForm
from training_app.models import Comparison, DatasetBuild, Run
from training_app.reaggregate import WhatIf, own_aggregation, what_if
from training_app.refusals import BuildRefused

MOST = 5_000
"""Comparisons the page computes anew for each way; the command takes all of them."""


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def aggregate(request: AuthenticatedHttpRequest, run_id: UUID) -> HttpResponse:
    """Every way to make targets of a run's labels beside the run's own; posting freezes the chosen one as a build."""
    find = get_run_to_steer_for if request.method == "POST" else get_run_for
    run = find(request.user, run_id)
    form = AggregateForm(request.POST or None, initial=_initial(run))
    if form.is_bound and form.is_valid() and (built := _built(request, run, form)):
        return redirect("training:build", built[0].pk)
    is_sample = Comparison.objects.filter(run=run).order_by("pk")[MOST : MOST + 1].exists()
    context = {
        "run": run,
        "form": form,
        "ways": _ways(run),
        "sample": MOST if is_sample else None,
        "can_build": can_launch(request.user),
    }
    return render(request, "training/aggregate.html", context, status=422 if form.errors else 200)


def _built(request: AuthenticatedHttpRequest, run: Run, form: AggregateForm) -> tuple[DatasetBuild, ...]:
    """The builds, or nothing when it was refused; the form then says why."""
    try:
        built = build_dataset(
            user=request.user, run=run, stage="reward", name=form.cleaned_data["name"], aggregation=form.aggregation()
        )
    except BuildRefused as refusal:
        form.add_error(None, str(refusal))
        return ()
    messages.success(request, f"Built {' and '.join(one.name for one in built)} from the labels as they are.")
    return built


def _ways(run: Run) -> list[WhatIf]:
    """The run's own way first, then every aggregation and each order by itself; empty without labels."""
    try:
        own = own_aggregation(run)
        others = [Aggregation(how, "both", own.clamp, own.drop_irrelevant) for how in HOW]
        others += [Aggregation(own.how, order, own.clamp, own.drop_irrelevant) for order in ("ab", "ba")]
        others += [Aggregation(own.how, "both", (0.4, 0.6), own.drop_irrelevant)]
        return what_if(run, *dict.fromkeys([own, *others]), most=MOST)
    except BuildRefused:
        return []


def _initial(run: Run) -> dict[str, Any]:
    try:
        own = own_aggregation(run)
    except BuildRefused:
        return {}
    low, high = own.clamp or (None, None)
    return {"how": own.how, "orders": "both", "clamp_low": low, "clamp_high": high,
            "drop_irrelevant": own.drop_irrelevant}  # fmt: skip
