"""Base models: the folders that runs may start from, and what was found when each was registered."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from training_app.access import can_launch
from training_app.actions import register_model
from training_app.base_models import available_names
from training_app.models import RegisteredModel
from training_app.refusals import ModelRefused


@dataclass(frozen=True)
class Shelf:
    """One folder with the newest facts about it; `is_here` is whether it still lies under MODELS_ROOT."""

    name: str
    facts: RegisteredModel | None
    is_here: bool


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def base_models(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every folder under MODELS_ROOT, and every one that was registered. One query; no weights are read."""
    newest: dict[str, RegisteredModel] = {}
    for one in RegisteredModel.objects.select_related("registered_by").order_by("pk"):
        newest[one.name] = one
    here = set(available_names())
    shelves = [Shelf(name, newest.get(name), name in here) for name in sorted(here | newest.keys())]
    context = {"shelves": shelves, "can_register": can_launch(request.user)}
    return render(request, "training/base_models.html", context)


@require_POST
@require_role(Role.ENGINEER)
def register(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Read a folder anew and keep what it is."""
    try:
        kept = register_model(user=request.user, name=request.POST.get("name", ""))
    except ModelRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"{kept.name} is registered with digest {kept.digest[:12]}.")
    return redirect("training:base_models")
