"""How a person reads and judges: the page on which they change it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from training_app.actions.change_auditor_settings import SettingsRefused, change_auditor_settings
from training_app.auditor_settings import settings_of, shown_today
from training_app.queue_forms import SettingsForm


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.AUDITOR)
@vary_on_headers("HX-Request")
def auditor_settings(request: AuthenticatedHttpRequest) -> HttpResponse:
    """What stays veiled, how texts are shown, when a break is offered, and which keys work."""
    form = SettingsForm(request.POST or None, instance=settings_of(request.user))
    if form.is_valid() and _kept(request, form):
        messages.success(request, "Your settings are saved.")
        return redirect("training:auditor_settings")
    context = {"form": form, "shown_today": shown_today(request.user)}
    return render(request, "training/auditor_settings.html", context, status=422 if form.errors else 200)


def _kept(request: AuthenticatedHttpRequest, form: SettingsForm) -> bool:
    """Whether they were kept; when not, the form says why."""
    try:
        change_auditor_settings(user=request.user, values=form.values(), keys=form.keys())
    except SettingsRefused as refusal:
        form.add_error(None, str(refusal))
        return False
    return True
