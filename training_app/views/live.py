"""What changes by itself: the event stream of a run, and the line in the top bar that says what is under way."""

from __future__ import annotations

from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser, User
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import get_run_for
from training_app.models import Run, RunStage
from training_app.models.run import ACTIVE_STATES, RunState, StageState
from training_app.streams import LARGEST_EVENT, hub
from training_app.views.sending import let_go


@require_safe
@login_required
async def run_events(request: HttpRequest, run_id: UUID) -> HttpResponse | StreamingHttpResponse:
    """The event stream of a run. Without an event loop (WSGI) there is none, and the page polls instead."""
    user = await request.auser()
    await sync_to_async(_check)(user, run_id)
    if not isinstance(request, ASGIRequest):
        return HttpResponse(status=204)
    stream = hub.listen(run_id, _after(request))
    response = StreamingHttpResponse(stream, content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # a proxy must pass every line on at once
    return response


@require_safe
@require_role()
@never_cache
@vary_on_headers("HX-Request")
def status(request: AuthenticatedHttpRequest) -> HttpResponse:
    """One line for the top bar: what the oldest active run is doing, and how many wait. Two queries."""
    active = Run.objects.filter(state__in=(*ACTIVE_STATES, RunState.QUEUED)).order_by("number")
    runs = list(active.values_list("pk", "number", "state", named=True)[:50])
    under_way = [run for run in runs if run.state != RunState.QUEUED]
    first = next(iter(under_way or runs), None)
    stage = RunStage.objects.filter(run=first.pk, state=StageState.RUNNING).first() if under_way and first else None
    context = {"first": first, "stage": stage, "waiting": sum(run.state == RunState.QUEUED for run in runs)}
    return render(request, "training/status.html", context)


def _check(user: User | AnonymousUser, run_id: UUID) -> None:
    """Raise 403 or 404, and give the connection back."""
    get_run_for(user, run_id)
    let_go()


def _after(request: HttpRequest) -> int:
    """The last event the page has heard: the browser says it when it comes back, else the page's own address."""
    text = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    return min(int(text), LARGEST_EVENT) if text.isascii() and text.isdigit() and len(text) < 20 else 0
