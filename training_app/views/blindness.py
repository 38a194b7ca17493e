"""What pages do with items that their reader has yet to judge blind: say so, and offer the two ways out."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from training_app.access import (
    Person,
    get_chat_turn_for,
    get_label_to_audit_for,
    get_step_to_audit_for,
    hides_judgement,
)
from training_app.actions import look_first
from training_app.models import AILabel, Comparison, TraceStep

NOT_YET = "You have yet to judge this blind, in a queue. Judge it there, or have it shown and leave it to others."


def require_told(user: Person, item: AILabel | TraceStep) -> None:
    """Raises PermissionDenied for a verdict on something the person is to judge blind: an answer could tell them."""
    if item in hides_judgement(user, [item]):
        raise PermissionDenied(NOT_YET)


@require_POST
@require_role(Role.AUDITOR)
def look_at_label(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Show a label, and leave it to others in the queues it stands in."""
    _looked(request, get_label_to_audit_for(request.user, pk))
    return redirect("training:label", pk)


@require_POST
@require_role(Role.AUDITOR)
def look_at_step(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Show what was said of a step, and leave it to others in the queues it stands in."""
    step = get_step_to_audit_for(request.user, pk)
    _looked(request, step)
    return redirect("training:trace", step.trace_id)


@require_POST
@require_role(Role.AUDITOR)
def look_at_answers(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """Show whose answer is whose, and leave the pair to others in the queue it stands in."""
    _looked(request, get_object_or_404(Comparison, chat=get_chat_turn_for(request.user, pk)))
    return redirect("training:chat_turn", pk)


def _looked(request: AuthenticatedHttpRequest, item: AILabel | TraceStep | Comparison) -> None:
    if look_first(user=request.user, item=item):
        messages.info(request, "It is shown to you, and others will judge it in the queue.")
