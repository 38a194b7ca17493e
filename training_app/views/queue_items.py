"""Judging in a queue: taking an item, the page of one item, and what is posted from it.

Every form works plainly: it posts, and is sent on. The scripts send the same forms through the browser's outbox and are
answered with the part of the page that is to be shown next.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import OUTBOX, AuthenticatedHttpRequest, Role, require_role
from training_app.access import get_queue_to_judge_for, get_reservation_for
from training_app.actions import choose_blind, decide, refuse_item, take_next, undo
from training_app.actions.change_auditor_settings import show_veiled
from training_app.models import AuditQueue, Reservation
from training_app.queue_forms import ChoiceForm, DecisionForm
from training_app.queues.showing import letter_of
from training_app.refusals import AuditRefused, QueueRefused
from training_app.views.queue_page import ItemPage

SCRIPTED = (OUTBOX, "X-Part")
"""Headers by which the scripts ask for a part of the page."""


@require_safe
@require_role(Role.AUDITOR)
@vary_on_headers("HX-Request")
def next_item(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Where judging goes on: the item the person holds; else a button that takes one, since looking changes nothing."""
    queue = get_queue_to_judge_for(request.user, pk)
    held = Reservation.objects.filter(queue=queue, auditor=request.user, state="open").select_related("item").first()
    if held:
        return redirect("training:queue_item", pk, held.item.position)
    return render(request, "training/queue_next.html", {"queue": queue})


@require_POST
@require_role(Role.AUDITOR)
def take(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Take the next item; with `beside` another than the one that is being looked at."""
    queue = get_queue_to_judge_for(request.user, pk)
    beside = request.POST.get("beside", "")
    looked_at = int(beside) if beside.isascii() and beside.isdigit() and len(beside) < 19 else None
    given = take_next(user=request.user, queue=queue, beside=looked_at)
    if given is None and looked_at is not None and not is_scripted(request):
        messages.info(request, "There is no other item for you in this queue.")
        given = take_next(user=request.user, queue=queue)
    return _to(request, queue, given)


@require_safe
@require_role(Role.AUDITOR)
@vary_on_headers("HX-Request")
def item(request: AuthenticatedHttpRequest, pk: int, position: int) -> HttpResponse:
    """One item as it stands for this person: blind, revealed or decided."""
    return _page(request, ItemPage(get_reservation_for(request.user, pk, position)))


@require_POST
@require_role(Role.AUDITOR)
def choose(request: AuthenticatedHttpRequest, pk: int, position: int) -> HttpResponse:
    """Keep the blind choice, then reveal."""
    given = get_reservation_for(request.user, pk, position)
    form = ChoiceForm(request.POST, auto_id="choice_%s")
    if not form.is_valid():
        return _page(request, ItemPage(given, form), status=422)
    kept = form.cleaned_data
    choice = letter_of(given, kept["side"], is_step=given.item.step_id is not None)
    try:
        choose_blind(
            user=request.user,
            reservation=given,
            key=kept["idempotency_key"],
            choice=choice,
            seconds=kept["seconds"],
            answers=form.answers(),
        )
    except QueueRefused as refusal:
        form.add_error(None, str(refusal))
        return _page(request, ItemPage(given, form), status=409)
    if is_scripted(request):
        return _page(request, ItemPage(given))
    return redirect("training:queue_item", pk, position)


@require_POST
@require_role(Role.AUDITOR)
def keep(request: AuthenticatedHttpRequest, pk: int, position: int) -> HttpResponse:
    """Keep the verdict once, however often it is sent, and go on to the next item."""
    given = get_reservation_for(request.user, pk, position)
    form = DecisionForm(request.POST, auto_id="decision_%s")
    if not form.is_valid():
        return _page(request, ItemPage(given, form), status=422)
    choice = letter_of(given, form.cleaned_data["side"], is_step=given.item.step_id is not None)
    key = form.cleaned_data["idempotency_key"]
    try:
        decide(user=request.user, reservation=given, audit_id=key, said=form.said(choice))
    except (QueueRefused, AuditRefused) as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _page(request, ItemPage(given, form), status=409)
    if not is_scripted(request):
        messages.success(request, f"saved {timezone.localtime():%H:%M:%S}")
    return _to(request, given.queue, take_next(user=request.user, queue=given.queue))


@require_POST
@require_role(Role.AUDITOR)
def take_back(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Take the last decision back and open its item again."""
    queue = get_queue_to_judge_for(request.user, pk)
    opened = undo(user=request.user, queue=queue)
    if opened is None:
        messages.info(request, "There is no decision of yours in this queue to take back.")
        return redirect("training:queue_next", pk)
    messages.success(request, "Your last decision is taken back. Keep another, or the same.")
    return redirect("training:queue_item", pk, opened.item.position)


@require_POST
@require_role(Role.AUDITOR)
def refuse(request: AuthenticatedHttpRequest, pk: int, position: int) -> HttpResponse:
    """Leave an item to others for good, and go on."""
    given = get_reservation_for(request.user, pk, position)
    refuse_item(user=request.user, reservation=given, reason=str(request.POST.get("reason", "")).replace("\x00", ""))
    messages.success(request, "Somebody else will judge that item.")
    return _to(request, given.queue, take_next(user=request.user, queue=given.queue))


@require_POST
@require_role(Role.AUDITOR)
def show(request: AuthenticatedHttpRequest, pk: int, position: int) -> HttpResponse:
    """Lift the veil from one item, and count it."""
    given = get_reservation_for(request.user, pk, position)
    page = ItemPage(given)
    if page.is_veiled:
        show_veiled(user=request.user, reservation=given, severity=page.severity)
    if is_scripted(request):
        return _page(request, ItemPage(given))
    return redirect("training:queue_item", pk, position)


def is_scripted(request: HttpRequest) -> bool:
    """Whether a script asks, and wants a part of the page instead of being sent on."""
    return any(name in request.headers for name in SCRIPTED)


def _to(request: AuthenticatedHttpRequest, queue: AuditQueue, given: Reservation | None) -> HttpResponse:
    """To an item, or to the page that says there is none; for a script the part of the page that shows it."""
    if not is_scripted(request):
        if given is None:
            return redirect("training:queue_next", queue.pk)
        return redirect("training:queue_item", queue.pk, given.item.position)
    if given is None:
        queue.refresh_from_db()
        return render(request, "training/queue_next.html#part", {"queue": queue})
    return _page(request, ItemPage(given))


def _page(request: AuthenticatedHttpRequest, page: ItemPage, *, status: int = 200) -> HttpResponse:
    part = "#part" if is_scripted(request) or request.htmx else ""
    address = reverse("training:queue_item", args=[page.queue.pk, page.item.position])
    context = {"page": page, "queue": page.queue, "item": page.item, "address": address}
    return render(request, f"training/queue_item.html{part}", context, status=status)
