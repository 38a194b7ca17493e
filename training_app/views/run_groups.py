"""Runs that are compared: their page, and going on from one run's labels with and without people's verdicts."""

from __future__ import annotations

from functools import partial
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import get_run_group_for, get_run_to_steer_for
from training_app.actions import compare_verdicts
from training_app.forms import CompareVerdictsForm
from training_app.models import RunGroup
from training_app.refusals import LaunchRefused
from training_app.run_groups import compared, runs_of
from training_app.time_left import one_after_another, times_left
from training_app.verdicts import overridden_labels
from training_app.views.paging import page_of


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def run_groups(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every comparison, newest first."""
    page = page_of(RunGroup.objects.select_related("created_by"), request, by=("created_at", "pk"), newest_first=True)
    return render(request, "training/run_groups.html", {"page": page})


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def run_group(request: AuthenticatedHttpRequest, group_id: UUID) -> HttpResponse:
    """The arms side by side: what each measured and how far it differs from the first, prompt by prompt."""
    group = get_run_group_for(request.user, group_id)
    runs = runs_of(group)
    left = times_left(runs)
    context = {
        "times_left": left,
        "together_left": one_after_another(left.values()),
        "group": group,
        "runs": runs,
        "ended": sum(run.has_ended for run in runs),
        "parts": compared(group, runs),
    }
    return render(request, "training/run_group.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def compare(request: AuthenticatedHttpRequest, run_id: UUID) -> HttpResponse:
    """Asks for how many seeds, saying what will be launched; then launches both arms."""
    source = get_run_to_steer_for(request.user, run_id)
    form = CompareVerdictsForm(request.POST or None, initial={"idempotency_key": uuid4(), "seeds": 3})
    if request.method == "POST" and form.is_valid():
        seeds = range(source.seed, source.seed + form.cleaned_data["seeds"])
        try:
            group = compare_verdicts(
                user=request.user, source=source, seeds=list(seeds), name=f"Verdicts on run {source.number}",
                group_id=form.cleaned_data["idempotency_key"], say=partial(messages.warning, request),
            )  # fmt: skip
            return redirect("training:run_group", group.pk)
        except LaunchRefused as refusal:
            form.add_error(None, str(refusal))
    context = {"run": source, "form": form, "overrides": len(overridden_labels(source))}
    return render(request, "training/compare_verdicts.html", context, status=422 if form.errors else 200)
