"""What is done with a released checkpoint: signing it, and handing it on to a hub."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import (
    can_launch,
    get_checkpoint_for,
    get_checkpoint_to_promote_for,
    get_hub_copy_to_cancel_for,
    get_signature_to_cancel_for,
)
from training_app.actions import cancel_push, cancel_signature, push_checkpoint, sign_checkpoint
from training_app.hub_copies import copies_of
from training_app.refusals import ReleaseRefused
from training_app.signatures import signing_of
from training_app.views.steering import refusal_said


@require_POST
@require_role()
def sign(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Asks a worker to sign a checkpoint with the key of this installation."""
    read = get_checkpoint_to_promote_for(request.user, pk)
    try:
        asked = sign_checkpoint(user=request.user, checkpoint=read, say=partial(messages.warning, request))
    except ReleaseRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(
            request, "It is signed with this key already." if asked.has_ended else "A worker signs it now."
        )
    return redirect("training:release", pk)


@require_POST
@require_role()
def cancel_signing(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """Ends a signature that is queued or being made."""
    asked = get_signature_to_cancel_for(request.user, pk)
    with refusal_said(request, "The signing is cancelled. Nothing was put beside the weights."):
        cancel_signature(user=request.user, signature=asked)
    return redirect("training:release", asked.checkpoint_id)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def signature(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """How it stands with a checkpoint's signature: a page of its own, or the part of the release page that waits."""
    read = get_checkpoint_for(request.user, pk)
    context = {"checkpoint": read, "signing": signing_of(read), "can_promote": can_launch(request.user)}
    return render(request, f"training/signature.html{'#signature' if request.htmx else ''}", context)


@require_POST
@require_role()
def push(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Asks a worker to write a checkpoint as a hub keeps models, and to push it where a repository is named."""
    read = get_checkpoint_to_promote_for(request.user, pk)
    try:
        asked = push_checkpoint(
            user=request.user,
            checkpoint=read,
            repository=request.POST.get("repository", ""),
            is_private=request.POST.get("public") != "1",
            say=partial(messages.warning, request),
        )
    except ReleaseRefused as refusal:
        messages.error(request, str(refusal))
    else:
        what = f"pushes it to {asked.repository}" if asked.repository else "writes the folder"
        messages.success(request, f"A worker {what} now.")
    return redirect("training:release", pk)


@require_POST
@require_role()
def cancel_handing_on(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """Ends the handing-on of a checkpoint that is queued or under way."""
    asked = get_hub_copy_to_cancel_for(request.user, pk)
    with refusal_said(request, "It is cancelled. A commit that the hub had already made is shown here."):
        cancel_push(user=request.user, copy=asked)
    return redirect("training:release", asked.checkpoint_id)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def hub(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Where a checkpoint was handed on to: a page of its own, or the part of the release page that waits."""
    read = get_checkpoint_for(request.user, pk)
    context = {"checkpoint": read, "copies": copies_of(read), "can_promote": can_launch(request.user)}
    return render(request, f"training/hub.html{'#copies' if request.htmx else ''}", context)
