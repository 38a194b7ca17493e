"""What is said beside a principle while it is written: the words a model would be sent, how the edit counts, hints."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST
from django.views.decorators.vary import vary_on_headers

from constitutions_app import actions, hints
from constitutions_app.access import WRITERS, AuthenticatedHttpRequest, get_draft_principle_for, require_role
from constitutions_app.core import principles as core
from constitutions_app.core.wordings import wordings_for
from constitutions_app.forms.principles import HintForm, PrincipleForm, typed_principle
from constitutions_app.meanings import edit_of
from constitutions_app.models import DraftPrinciple


@require_POST
@require_role(*WRITERS)
def sent(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    """What the model would be sent for the words in the form, saved or not, and the hints. Changes nothing."""
    return _beside(request, get_draft_principle_for(request.user, slug, key))


@require_POST
@require_role(*WRITERS)
@vary_on_headers("HX-Request")
def dismiss(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    return _decided(request, slug, key, actions.dismiss_hint)


@require_POST
@require_role(*WRITERS)
@vary_on_headers("HX-Request")
def recall(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    return _decided(request, slug, key, actions.recall_hint)


@require_POST
@require_role(*WRITERS)
@vary_on_headers("HX-Request")
def declare(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    """Say whether the saved edit of one principle is semantic or minor, or leave it to the words."""
    principle = get_draft_principle_for(request.user, slug, key)
    try:
        kinds = {key: request.POST.get("kind", "")}
        actions.declare_edits(user=request.user, draft=principle.draft, kinds=kinds)
    except actions.Refused as refusal:
        messages.error(request, f"Nothing was changed. {refusal}")
        return redirect("constitutions:draft_principle", slug, key)
    if not request.htmx:
        return redirect("constitutions:draft_principle", slug, key)
    principle = get_draft_principle_for(request.user, slug, key)
    ctx = {
        "draft": principle.draft,
        "principle": principle,
        "edit": edit_of(principle, principle.to_core(), principle.edit_kind),
    }
    return render(request, "constitutions/_edit_kind.html", {**ctx, "kind_saved": True})


def beside(row: DraftPrinciple, principle: core.Principle, declared: str) -> dict[str, object]:
    """What stands beside the form, for a row and its words as typed; `declared` is what people said of these words.

    Five queries at most: the other principles, the hints put aside, the principle as published, two for likeness.
    """
    draft = row.draft
    wordings = wordings_for(principle)
    names = (("critique_request", "Critique request"), ("revision_request", "Revision request"))
    parts = [
        {"label": label, "name": name, "text": getattr(wordings, name), "own": bool(getattr(principle, name))}
        for name, label in (*names, ("comparison_question", "Comparison question"))
    ]
    others = [row.to_core() for row in draft.principles.all()]
    return {
        "sent": parts,
        "has_text": bool(principle.text),
        "edit": edit_of(row, principle, declared),
        "hints": hints.hints_of(draft, principle, others),
    }


def _decided(request: AuthenticatedHttpRequest, slug: str, key: str, verb: Callable[..., bool]) -> HttpResponse:
    principle = get_draft_principle_for(request.user, slug, key)
    form = HintForm(request.POST)
    if form.is_valid():
        verb(user=request.user, principle=principle, slug=form.cleaned_data["hint"], words=form.cleaned_data["words"])
    if request.htmx:
        return _beside(request, principle)
    return redirect("constitutions:draft_principle", slug, key)


def _beside(request: AuthenticatedHttpRequest, principle: DraftPrinciple) -> HttpResponse:
    saved = principle.to_core()  # before the form writes what was typed into the row
    typed = typed_principle(PrincipleForm(request.POST, instance=principle), principle)
    ctx = {
        **beside(principle, typed, principle.edit_kind if typed == saved else ""),
        "draft": principle.draft,
        "principle": principle,
        "oob": True,
    }
    return render(request, "constitutions/_sent_and_hints.html", ctx)
