"""Pages of runs: the list, the launch form, one run and its stages, stopping and resuming."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import can_launch, get_run_for, get_run_to_steer_for, get_stage_for
from training_app.actions import cancel_run, resume_run
from training_app.artifacts import open_log
from training_app.models import Run, RunStage
from training_app.refusals import SteeringRefused
from training_app.time_left import times_left
from training_app.views.filters import RunFilter
from training_app.views.paging import page_of
from training_app.views.run_curves import look_in
from training_app.views.run_page import RunPage, StagePage
from training_app.views.run_queue import queue_panel
from training_app.views.sending import send_file
from training_app.views.steering import refusal_said

PARTS = frozenset({"head", "stages", "curves", "newest", "log", "results"})
"""Fragments of a run's page that are asked for one by one while it is under way."""


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def runs(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every run, newest first."""
    chosen = RunFilter(request.GET)
    page = page_of(chosen.apply(listed_runs()), request, by=("number",), newest_first=True)
    part = "#results" if request.htmx and not request.htmx.boosted else ""
    context = {"page": page, "filter": chosen, "can_launch": can_launch(request.user)}
    context |= {"times_left": times_left(page.rows)}
    context |= {} if part else {"panel": queue_panel()}
    return render(request, f"training/runs.html{part}", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def run(request: AuthenticatedHttpRequest, run_id: UUID) -> HttpResponse:
    """One run, live; `?part=` asks for one fragment of it."""
    page = RunPage(get_run_for(request.user, run_id), request.user, look_in(request.GET, request.user, but=run_id))
    part = request.GET.get("part", "")
    if part and part not in PARTS:
        raise Http404("There is no such part of a run's page.")
    context = {"run": page.run, "page": page, "can_steer": can_launch(request.user)}
    return render(request, f"training/run.html#{part}" if part and request.htmx else "training/run.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
def stop_run(request: AuthenticatedHttpRequest, run_id: UUID) -> HttpResponse:
    """Asks first, saying what is kept; then stops."""
    steered = get_run_to_steer_for(request.user, run_id)
    if request.method != "POST":
        return render(request, "training/stop_run.html", {"run": steered})
    try:
        discard = request.POST.get("then") == "discard"
        after = cancel_run(user=request.user, run=steered, discard=discard)
    except SteeringRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _said_of_stopping(steered, after, discard=discard))
    return redirect("training:run", run_id)


def _said_of_stopping(before: Run, after: Run, *, discard: bool) -> str:
    if before.has_ended:
        ended = "It is discarded."
    else:
        ended = "It had not begun and is cancelled." if after.has_ended else "It stops at the next safe place."
    kept = (
        "Records and finished stages are kept; it cannot be resumed." if discard else "Everything made so far is kept."
    )
    return f"{ended} {kept}"


@require_POST
@require_role()
def resume_run_now(request: AuthenticatedHttpRequest, run_id: UUID) -> HttpResponse:
    """Queues the run again."""
    steered = get_run_to_steer_for(request.user, run_id)
    with refusal_said(request, "The run was put back into the queue. Finished stages are not done twice."):
        resume_run(user=request.user, run=steered, say=lambda sentence: messages.warning(request, sentence))
    return redirect("training:run", run_id)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def stage(request: AuthenticatedHttpRequest, run_id: UUID, slug: str) -> HttpResponse:
    """One stage of a run: what it was told, what it said, what it left behind."""
    step = request.GET.get("step", "")
    page = StagePage(
        get_stage_for(request.user, run_id, slug),
        look_in(request.GET, request.user, but=run_id),
        int(step) if step.isascii() and step.isdigit() and len(step) < 10 else None,
    )
    part = "#live" if request.htmx and request.GET.get("part") == "live" else ""
    return render(request, f"training/stage.html{part}", {"run": page.stage.run, "stage": page.stage, "page": page})


@require_safe
@login_required
def stage_log(request: HttpRequest, run_id: UUID, slug: str) -> HttpResponse:
    """The whole log of a stage, as a file."""
    read = get_stage_for(request.user, run_id, slug)
    if (file := open_log(read)) is None:
        raise Http404("This stage has no log yet.")
    return send_file(request, file, f"run-{read.run.number}-{slug}.log.txt", "text/plain; charset=utf-8")


def listed_runs() -> QuerySet[Run]:
    """Runs with what their line in the list says, in two queries however many there are."""
    stages = Prefetch("stages", queryset=RunStage.objects.order_by("position"), to_attr="stage_list")
    return Run.objects.select_related("version__constitution", "created_by").prefetch_related(stages)
