"""What happened that concerns a person: the list, and the count in the shell's bar."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from constitutions_app import actions
from constitutions_app.access import AuthenticatedHttpRequest, get_notification_for, require_role
from constitutions_app.models import Notification

SHOWN = 100


@require_safe
@require_role()
def index(request: AuthenticatedHttpRequest) -> HttpResponse:
    rows = list(Notification.objects.filter(person=request.user)[:SHOWN])
    unread = sum(row.read_at is None for row in rows)
    return render(request, "people/notifications.html", {"notifications": rows, "unread": unread, "most": SHOWN})


@require_safe
@require_role()
def count(request: AuthenticatedHttpRequest) -> HttpResponse:
    """How many are unread: a fragment that every page asks for."""
    unread = Notification.objects.filter(person=request.user, read_at__isnull=True).count()
    return render(request, "people/_notification_count.html", {"unread": unread})


@require_POST
@require_role()
def follow(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Mark one read and go where it leads."""
    notification = get_notification_for(request.user, pk)
    actions.mark_read(user=request.user, notification=notification)
    return redirect(notification.url)


@require_POST
@require_role()
def read(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Mark all of them read."""
    marked = actions.mark_read(user=request.user)
    messages.success(request, f"{marked} marked read." if marked else "There was nothing unread.")
    return redirect("notifications")
