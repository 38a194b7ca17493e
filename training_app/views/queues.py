"""Queues: the list, making one, and the page that says how far it is and lets people begin."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from training_app.access import (
    can_audit,
    can_launch,
    can_make_queues,
    get_queue_for,
    get_queue_to_change_for,
    is_for,
)
from training_app.actions import assign_queue, close_queue, create_queue
from training_app.models import AuditQueue, Reservation
from training_app.queue_forms import AssignForm, QueueForm
from training_app.queues.matching import kind_of
from training_app.queues.progress import decided_today, shares_of
from training_app.refusals import QueueRefused
from training_app.views.paging import page_of


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def queues(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every queue, newest first."""
    page = page_of(AuditQueue.objects.select_related("created_by"), request, newest_first=True)
    context = {"page": page, "can_make": can_make_queues(request.user)}
    return render(request, f"training/queues.html{'#results' if request.htmx else ''}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER, Role.AUDITOR)
@vary_on_headers("HX-Request")
def new_queue(request: AuthenticatedHttpRequest) -> HttpResponse:
    """A filter and a rule become a queue; the filter may come from the address of a list."""
    filters = str(request.GET.get("filters", ""))
    form = QueueForm(request.POST or None, initial={"filters": filters, "kind": kind_of(filters)})
    if form.is_valid() and (queue := _made(request, form)):
        messages.success(request, f"The queue holds {queue.items_count} items.")
        return redirect("training:queue", queue.pk)
    return render(request, "training/queue_form.html", {"form": form}, status=422 if form.errors else 200)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def queue(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """One queue: how far it is, who judged how much, and the way in."""
    read = get_queue_for(request.user, pk)
    people = read.people.all()
    context = {
        "queue": read,
        "people": people,
        "shares": shares_of(read),
        "mine": Reservation.objects.filter(queue=read, auditor=request.user, state="decided").count(),
        "today": decided_today(read, request.user) if read.goal else 0,
        "may_judge": is_for(request.user, read),
        "can_audit": can_audit(request.user),
        "may_change": can_make_queues(request.user) and (read.created_by == request.user or can_launch(request.user)),
        "assign": AssignForm(initial={"people": people}),
    }
    return render(request, "training/queue.html", context)


@require_POST
@require_role(Role.ENGINEER, Role.AUDITOR)
def close(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Give nothing more out."""
    close_queue(user=request.user, queue=get_queue_to_change_for(request.user, pk))
    messages.success(request, "The queue is closed. What people hold they can still decide.")
    return redirect("training:queue", pk)


@require_POST
@require_role(Role.ENGINEER, Role.AUDITOR)
def assign(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Say whom the queue is for."""
    read = get_queue_to_change_for(request.user, pk)
    form = AssignForm(request.POST)
    if form.is_valid():
        assign_queue(user=request.user, queue=read, people=form.cleaned_data["people"])
        messages.success(request, "Saved whom the queue is for.")
    else:
        messages.error(request, "Nothing was changed: somebody on the list can no longer judge.")
    return redirect("training:queue", pk)


def _made(request: AuthenticatedHttpRequest, form: QueueForm) -> AuditQueue | None:
    """The queue, or None when it was refused; the form then says why."""
    try:
        return create_queue(user=request.user, plan=form.plan(), people=form.people_named())
    except QueueRefused as refusal:
        form.add_error(refusal.field or None, str(refusal))
        return None
