"""The parts of a draft beside its principles: the preamble and the few-shot exemplars."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from constitutions_app import actions
from constitutions_app.access import WRITERS, AuthenticatedHttpRequest, get_editable_draft_for, require_role
from constitutions_app.core import principles as core
from constitutions_app.forms.drafts import PreambleForm, exemplar_forms
from constitutions_app.models import Draft
from constitutions_app.views import conflicts, editing


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def preamble(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    form = PreambleForm(request.POST if request.method == "POST" else None, initial={"preamble": draft.preamble})
    if request.method != "POST":
        return _preamble_page(request, draft, form)
    if not form.is_valid():
        return editing.unfit(form.errors) if editing.is_autosave(request) else _preamble_page(request, draft, form, 422)
    try:
        draft = actions.edit_preamble(
            user=request.user,
            draft=draft,
            expected=request.POST.get("revision", ""),
            text=form.cleaned_data["preamble"],
            origin=conflicts.text_origin(request),
        )
    except actions.Conflict as conflict:
        return _preamble_conflict(request, get_editable_draft_for(request.user, slug), conflict)
    if editing.is_autosave(request):
        return editing.saved(actions.text_revision(draft.preamble))
    messages.success(request, "Saved.")
    return redirect("constitutions:draft_preamble", slug)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def exemplars(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    if request.method != "POST":
        return _exemplars_page(request, draft, None)
    forms = exemplar_forms(draft.exemplars, request.POST)
    errors = {f"{form.prefix}-{name}": found for form in forms for name, found in form.errors.items()}
    if errors:
        return editing.unfit(errors) if editing.is_autosave(request) else _exemplars_page(request, draft, forms, 422)
    try:
        draft = actions.edit_exemplars(
            user=request.user,
            draft=draft,
            expected=request.POST.get("revision", ""),
            exemplars=[core.Exemplar(**form.cleaned_data) for form in forms],
            origin=conflicts.text_origin(request),
        )
    except actions.Conflict as conflict:
        return _exemplars_conflict(request, get_editable_draft_for(request.user, slug), conflict)
    if editing.is_autosave(request):
        return editing.saved(actions.text_revision(draft.exemplars))
    messages.success(request, "Saved.")
    return redirect("constitutions:draft_exemplars", slug)


@require_POST
@require_role(*WRITERS)
def add_exemplar(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    try:
        draft = actions.add_exemplar(user=request.user, draft=draft)
    except actions.Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("constitutions:draft_exemplars", slug)
    return redirect(f"{reverse('constitutions:draft_exemplars', args=[slug])}#exemplar-{len(draft.exemplars)}")


@require_POST
@require_role(*WRITERS)
def remove_exemplar(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    page = reverse("constitutions:draft_exemplars", args=[slug])
    try:
        entry = actions.remove_exemplar(
            user=request.user, draft=draft, expected=request.POST.get("revision", ""), index=number - 1
        )
    except (actions.Conflict, actions.Gone):
        messages.error(request, "Nothing was removed: the exemplars changed meanwhile. Look at them again.")
        return redirect(page)
    return redirect(f"{page}?removed={entry.seq}")


def _preamble_page(
    request: AuthenticatedHttpRequest, draft: Draft, form: PreambleForm, status: int = 200, **extra: object
) -> HttpResponse:
    ctx = {
        **editing.outline_context(draft, current="preamble"),
        "form": form,
        "base_json": json.dumps({"preamble": draft.preamble}),
        "revision": actions.text_revision(draft.preamble),
        "removed_seq": editing.removed_seq(request),
        **extra,
    }
    return render(request, "constitutions/edit_preamble.html", ctx, status=status)


def _preamble_conflict(request: AuthenticatedHttpRequest, draft: Draft, conflict: actions.Conflict) -> HttpResponse:
    if editing.is_autosave(request):
        revision = actions.text_revision(draft.preamble)
        return conflicts.stale(conflict, revision, {"preamble": draft.preamble})
    form = PreambleForm({**request.POST.dict(), **conflict.settled.merged})
    return _preamble_page(request, draft, form, 409, **_both(conflict, draft))


def _exemplars_page(
    request: AuthenticatedHttpRequest, draft: Draft, forms: list[Any] | None, status: int = 200, **extra: object
) -> HttpResponse:
    ctx = {
        **editing.outline_context(draft, current="exemplars"),
        "forms": forms if forms is not None else exemplar_forms(draft.exemplars),
        "base_json": json.dumps(actions.exemplar_fields(draft.exemplars)),
        "revision": actions.text_revision(draft.exemplars),
        "removed_seq": editing.removed_seq(request),
        **extra,
    }
    return render(request, "constitutions/edit_exemplars.html", ctx, status=status)


def _exemplars_conflict(request: AuthenticatedHttpRequest, draft: Draft, conflict: actions.Conflict) -> HttpResponse:
    """Both sides' words: for autosave by control, for a page as diffs above the person's own words."""
    theirs = actions.exemplar_fields(draft.exemplars)
    if editing.is_autosave(request):
        return conflicts.stale(conflict, actions.text_revision(draft.exemplars), theirs)
    forms = exemplar_forms(draft.exemplars, {**request.POST.dict(), **conflict.settled.merged})
    return _exemplars_page(request, draft, forms, 409, **_both(conflict, draft))


def _both(conflict: actions.Conflict, draft: Draft) -> dict[str, object]:
    """What the top of a page says about a conflict."""
    return {
        "conflict": True,
        "clashes": conflicts.shown_clashes(conflict),
        "merged": conflicts.merged_names(conflict),
        "by": editing.editor_name(draft),
    }
