"""The way of a checkpoint into use: sign-offs, aliases, rules, and what can be taken away."""

from __future__ import annotations

import tempfile
from pathlib import Path

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, get_constitution_for, has_role, require_role
from constitutions_app.ledger import name_of
from training_app import lineage
from training_app.access import (
    can_change_release_rules,
    can_launch,
    get_checkpoint_for,
    get_checkpoint_to_promote_for,
    require_release_rules,
)
from training_app.actions import change_release_rules, promote_checkpoint, sign_off, withdraw_alias
from training_app.evidence import file_name, write_evidence
from training_app.hub_copies import copies_of
from training_app.model_card import card_of
from training_app.refusals import ReleaseRefused
from training_app.release_form import ReleaseRulesForm, SignOffForm
from training_app.releases import SIGNERS, release_of, required_roles
from training_app.signatures import signing_of
from training_app.views.sending import send_file


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def release(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """The release review of one checkpoint; posting is a sign-off."""
    read = get_checkpoint_for(request.user, pk)
    roles = [role for role in SIGNERS if has_role(request.user, role)]
    form = SignOffForm(request.POST if request.method == "POST" else None, roles=roles)
    if request.method == "POST" and form.is_valid():
        try:
            signed = sign_off(user=request.user, checkpoint=read, **form.cleaned_data)
        except ReleaseRefused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"Kept: {name_of(request.user)} {signed.get_word_display()} as {signed.role}.")
            return redirect("training:release", pk)
    context = {
        "checkpoint": read,
        "release": release_of(read),
        "form": form if roles else None,
        "signing": signing_of(read),
        "copies": copies_of(read),
        "can_promote": can_launch(request.user),
    }
    return render(request, "training/release.html", context, status=422 if form.errors else 200)


@require_POST
@require_role()
def move_checkpoint_alias(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Points "candidate" or "production" at a checkpoint, or takes it away."""
    read = get_checkpoint_to_promote_for(request.user, pk)
    name = request.POST.get("alias", "")
    try:
        if "withdraw" in request.POST:
            withdraw_alias(user=request.user, checkpoint=read, name=name)
        else:
            promote_checkpoint(user=request.user, checkpoint=read, name=name)
    except ReleaseRefused as refusal:
        messages.error(request, str(refusal))
    else:
        done = "no longer points" if "withdraw" in request.POST else "now points"
        messages.success(request, f"“{name}” {done} at this checkpoint.")
    return redirect("training:release", pk)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def release_rules(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """Which roles must sign off before a checkpoint of this constitution becomes "production"."""
    constitution = get_constitution_for(request.user, slug)
    may = can_change_release_rules(request.user)
    required = required_roles(constitution)
    posted = request.POST if request.method == "POST" else None
    form = ReleaseRulesForm(posted, initial={"roles": [role.value for role in required]})
    if request.method == "POST" and form.is_valid():
        require_release_rules(request.user)
        try:
            change_release_rules(user=request.user, constitution=constitution, roles=form.cleaned_data["roles"])
        except ReleaseRefused as refusal:
            form.add_error("roles", str(refusal))
        else:
            messages.success(request, "These rules hold from now on.")
            return redirect("training:release_rules", slug)
    context = {"constitution": constitution, "form": form, "may": may, "required": required}
    return render(request, "training/release_rules.html", context, status=422 if form.errors else 200)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def model_card(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """The model card as Markdown."""
    read = get_checkpoint_for(request.user, pk)
    response = HttpResponse(card_of(lineage.of_checkpoint(read)), content_type="text/markdown; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="model-card-run-{read.run.number}-{read.stage}.md"'
    return response


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def evidence(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """The evidence pack as one zip."""
    read = get_checkpoint_for(request.user, pk)
    file = tempfile.NamedTemporaryFile(prefix="evidence-")  # noqa: SIM115  # closed with the response
    write_evidence(read, Path(file.name), reader=request.user)
    return send_file(request, file, file_name(read))
