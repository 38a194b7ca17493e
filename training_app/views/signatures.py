"""What is done with a released checkpoint: signing it."""

from __future__ import annotations

from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import can_launch, get_checkpoint_for, get_checkpoint_to_promote_for
from training_app.actions import sign_checkpoint
from training_app.refusals import ReleaseRefused
from training_app.signatures import signing_of


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


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def signature(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """How it stands with a checkpoint's signature: a page of its own, or the part of the release page that waits."""
    read = get_checkpoint_for(request.user, pk)
    context = {"checkpoint": read, "signing": signing_of(read), "can_promote": can_launch(request.user)}
    return render(request, f"training/signature.html{'#signature' if request.htmx else ''}", context)
