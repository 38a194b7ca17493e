"""Pages of measured judges: the list, the form that starts a measurement, and one report."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from training_app.access import can_launch, get_judge_evaluation_for, get_judge_evaluation_to_cancel_for
from training_app.actions import cancel_judge, measure_judge
from training_app.actions.measure_judge import SERVER
from training_app.base_models import available_names
from training_app.core.judge_items import FORMATS
from training_app.forms import MeasureJudgeForm
from training_app.models import JudgeEvaluation
from training_app.other_models import server_choices
from training_app.plots import Curve, Drawing, Point, draw, number
from training_app.refusals import JudgeFileRefused
from training_app.views.steering import refusal_said

MOST_LISTED = 200


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def judge_evaluations(request: AuthenticatedHttpRequest) -> HttpResponse:
    """The newest measurements of judges."""
    listed = JudgeEvaluation.objects.select_related("judge", "created_by")[:MOST_LISTED]
    return render(
        request, "training/judge_evaluations.html", {"evaluations": listed, "can_measure": can_launch(request.user)}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER)
@vary_on_headers("HX-Request")
def measure(request: AuthenticatedHttpRequest) -> HttpResponse:
    """A file and a judge become a queued measurement, or every bad line is named and nothing is started."""
    models = [(name, name) for name in available_names()]
    models += [(f"{SERVER}{name}", f"server {words}") for name, words in server_choices()]
    form = MeasureJudgeForm(request.POST or None, request.FILES or None, models=models)
    if form.is_valid() and (made := _measured(request, form)):
        messages.success(request, "The judge is being measured. A worker takes it as soon as one is free.")
        return redirect("training:judge_evaluation", made.pk)
    return render(request, "training/measure_judge.html", {"form": form}, status=422 if form.errors else 200)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def judge_evaluation(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """One measurement: how far it is, then what it found. While it runs the page asks for itself again."""
    read = get_judge_evaluation_for(request.user, pk)
    context = {
        "one": read,
        "format": FORMATS.get(read.format, read.format),
        "plot": calibration_plot(read.report),
        "can_cancel": can_launch(request.user),
    }
    return render(request, f"training/judge_evaluation.html{'#result' if request.htmx else ''}", context)


@require_POST
@require_role()
def cancel(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """Ends a measurement that is queued or running."""
    asked = get_judge_evaluation_to_cancel_for(request.user, pk)
    with refusal_said(request, "The measurement is cancelled. What was asked so far is kept in its folder."):
        cancel_judge(user=request.user, evaluation=asked)
    return redirect("training:judge_evaluation", pk)


def calibration_plot(report: dict[str, Any]) -> Drawing | None:
    """How often the judge was right over how sure it was, and the line on which a calibrated judge lies."""
    bins = report.get("calibration") or []
    if not bins:
        return None
    right = tuple(Point(bin["confidence"], bin["accuracy"], *bin["interval"]) for bin in bins)
    ideal = (Point(0.5, 0.5), Point(1.0, 1.0))
    curves = [Curve("judge", right), Curve("calibrated", ideal)]
    drawn = draw("calibration", "Share right by confidence", curves, x_name="confidence")
    return replace(drawn, now=f"ECE {number(report['ece'])}") if drawn else None


def _measured(request: AuthenticatedHttpRequest, form: MeasureJudgeForm) -> JudgeEvaluation | None:
    """The queued measurement, or None when it was refused; the form then says why, line by line."""
    said = form.cleaned_data
    try:
        return measure_judge(
            user=request.user,
            file=said["file"],
            file_name=said["file"].name,
            model=said["model"],
            template=said["template"],
            question=said["question"],
            most=said["most"],
            evaluation_id=said["idempotency_key"],
            say=partial(messages.warning, request),
        )
    except JudgeFileRefused as refusal:
        for problem in refusal.problems:
            form.add_error(refusal.field, problem)
        form.add_error(None, "Nothing was started. Mend it and choose the file again; the rest is kept.")
        return None
