"""The queue of runs as people steer it: its panel on the list of runs, and the two forms in it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app import placement
from training_app.access import get_run_to_steer_for, require_engineer
from training_app.actions import move_run, pause_queue, prioritise_run, reopen_queue
from training_app.models import Run, RunQueue
from training_app.models.run import Priority
from training_app.refusals import SteeringRefused

MOST_SHOWN = 30


@dataclass(frozen=True)
class QueuePanel:
    """What waits, in the order in which it is begun, and whether the queue is paused."""

    queue: RunQueue | None
    runs: list[Run]
    more: int
    priorities: tuple[tuple[int, str], ...] = tuple((one.value, str(one.label)) for one in Priority)

    @property
    def is_shown(self) -> bool:
        """Where nothing waits and nothing is paused there is nothing to steer."""
        return bool(self.runs) or self.is_paused

    @property
    def is_paused(self) -> bool:
        return self.queue is not None and self.queue.paused


def queue_panel() -> QueuePanel:
    """Two queries, however many runs wait."""
    queue = RunQueue.objects.select_related("changed_by").first()
    waiting = list(placement.queued().select_related("version__constitution", "created_by"))
    return QueuePanel(queue, waiting[:MOST_SHOWN], max(len(waiting) - MOST_SHOWN, 0))


@require_POST
@require_role()
def steer_queue(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Pauses the queue, or opens it again."""
    require_engineer(request.user)
    if request.POST.get("act") == "open":
        reopen_queue(user=request.user)
        messages.success(request, "The queue is open. Runs begin as workers are free.")
    else:
        pause_queue(user=request.user, reason=request.POST.get("reason", ""))
        messages.success(request, "The queue is paused. Runs under way go on; queued ones wait.")
    return redirect("training:runs")


@require_POST
@require_role()
def order_run(request: AuthenticatedHttpRequest, run_id: UUID) -> HttpResponse:
    """Moves a queued run, or gives it another priority."""
    run = get_run_to_steer_for(request.user, run_id)
    try:
        if "priority" in request.POST:
            prioritise_run(user=request.user, run=run, priority=_whole(request.POST["priority"]))
        else:
            move_run(user=request.user, run=run, to=request.POST.get("to", ""))
    except SteeringRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("training:runs")


def _whole(text: str) -> int:
    """A small whole number as a form sends it. Raises SteeringRefused."""
    if text not in {str(value) for value in Priority.values}:
        raise SteeringRefused(f"{text[:20]!r} is no priority.")
    return int(text)
