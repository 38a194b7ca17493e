"""Making scenarios of what the AI did, from the pages on which people judge it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from constitutions_app.access import SCENARIO_WRITERS, AuthenticatedHttpRequest, require_role
from constitutions_app.actions import Refused
from training_app.access import get_label_for, get_step_for
from training_app.actions import make_scenario
from training_app.models import AILabel, TraceStep


@require_POST
@require_role(*SCENARIO_WRITERS)
def from_label(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    label = get_label_for(request.user, pk)
    return _made(request, label) or redirect("training:label", pk)


@require_POST
@require_role(*SCENARIO_WRITERS)
def from_step(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    step = get_step_for(request.user, pk)
    return _made(request, step) or redirect("training:trace", step.trace_id)


def _made(request: AuthenticatedHttpRequest, item: AILabel | TraceStep) -> HttpResponse | None:
    """To the scenario, or to its form where something is missing; None, with a sentence, when it was refused."""
    try:
        made = make_scenario(user=request.user, item=item)
    except Refused as refusal:
        messages.error(request, f"No scenario was made. {refusal}")
        return None
    slug = made.constitution.slug
    if made.is_complete:
        messages.success(request, "A scenario with these words is kept. It has no result until a judge is asked.")
        return redirect("constitutions:scenario", slug, made.key)
    messages.info(request, "A scenario with these words is kept. Say which response should win, then save.")
    return redirect("constitutions:edit_scenario", slug, made.key)
