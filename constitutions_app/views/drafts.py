"""The draft: reading it, and editing its principles one by one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app import actions
from constitutions_app.access import (
    WRITERS,
    AuthenticatedHttpRequest,
    can_write,
    get_draft_for,
    get_draft_principle_for,
    get_editable_draft_for,
    get_ledger_entry_for,
    require_role,
)
from constitutions_app.core.wordings import wordings_for
from constitutions_app.forms.drafts import AddPrincipleForm, MoveForm
from constitutions_app.forms.principles import BOXES, PrincipleForm, principle_values
from constitutions_app.models import DraftPrinciple
from constitutions_app.scenario_results import PASSED, of_principle
from constitutions_app.views import conflicts, editing, hints


@require_safe
@require_role()
def draft(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """Writers go on to the editor, to the part `?at=` names if it is there; everybody else reads the draft."""
    draft = get_draft_for(request.user, slug)
    if can_write(request.user) and not draft.closed_at:
        keys = list(draft.principles.values_list("key", flat=True))
        at = request.GET.get("at", "")
        if not keys or (at == "preamble" and at not in keys):
            return redirect("constitutions:draft_preamble", slug)
        return redirect("constitutions:draft_principle", slug, at if at in keys else keys[0])
    constitution = draft.to_core()
    ctx = {
        "draft": draft,
        "constitution": draft.constitution,
        "body": constitution,
        "principles": [(number, item, wordings_for(item)) for number, item in enumerate(constitution.principles, 1)],
    }
    return render(request, "constitutions/draft.html", ctx)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
@vary_on_headers("HX-Request")
def edit(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    principle = get_draft_principle_for(request.user, slug, key)
    if request.method == "POST":
        return _save(request, principle)
    if request.htmx:
        return editing.render_outline(request, get_editable_draft_for(request.user, slug), key)
    return _editor(request, principle, PrincipleForm(instance=principle))


@require_POST
@require_role(*WRITERS)
def add(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    form = AddPrincipleForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"No principle was added. {form.errors['title'][0]}")
        return redirect("constitutions:draft", slug)
    principle = actions.add_principle(user=request.user, draft=draft, title=form.cleaned_data["title"])
    return redirect("constitutions:draft_principle", slug, principle.key)


@require_POST
@require_role(*WRITERS)
def remove(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    principle = get_draft_principle_for(request.user, slug, key)
    try:
        entry = actions.remove_principle(user=request.user, principle=principle)
    except actions.Gone as gone:
        messages.info(request, str(gone))
        return redirect("constitutions:draft", slug)
    follower = principle.draft.principles.filter(position__gte=principle.position).first()
    follower = follower or principle.draft.principles.last()
    page = (
        reverse("constitutions:draft_principle", args=[slug, follower.key])
        if follower
        else reverse("constitutions:draft_preamble", args=[slug])
    )
    return redirect(f"{page}?removed={entry.seq}")


@require_POST
@require_role(*WRITERS)
def restore(request: AuthenticatedHttpRequest, slug: str, seq: int) -> HttpResponse:
    """Put back what a ledger entry removed."""
    draft = get_editable_draft_for(request.user, slug)
    entry = get_ledger_entry_for(request.user, seq)
    try:
        principle = actions.restore_removed(user=request.user, draft=draft, entry=entry)
    except actions.Refused as refusal:
        messages.error(request, f"Nothing was restored. {refusal}")
        return redirect("constitutions:draft", slug)
    if principle is None:
        return redirect("constitutions:draft_exemplars", slug)
    messages.success(request, f"“{principle}” is back where it stood.")
    return redirect("constitutions:draft_principle", slug, principle.key)


@require_POST
@require_role(*WRITERS)
@vary_on_headers("HX-Request")
def move(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    """One place up or down, or to a place counted from 1."""
    principle = get_draft_principle_for(request.user, slug, key)
    stands = principle.draft.principles.filter(position__lt=principle.position).count()
    form = MoveForm(request.POST)
    if form.is_valid():
        try:
            actions.move_principle(user=request.user, principle=principle, to=form.goal(stands))
        except actions.Gone as gone:
            if not request.htmx:
                messages.info(request, str(gone))
                return redirect("constitutions:draft", slug)
    if request.htmx:
        at = form.cleaned_data.get("at") or key
        return editing.render_moved(request, get_editable_draft_for(request.user, slug), at, key)
    if form.errors:
        messages.info(request, "Nothing was moved. Say a place of the outline, counted from 1.")
    return redirect("constitutions:draft_principle", slug, key)


@require_POST
@require_role(*WRITERS)
def duplicate(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    principle = get_draft_principle_for(request.user, slug, key)
    try:
        copy = actions.duplicate_principle(user=request.user, principle=principle)
    except actions.Gone as gone:
        messages.info(request, str(gone))
        return redirect("constitutions:draft", slug)
    messages.success(request, "This is the copy. The original stands before it.")
    return redirect("constitutions:draft_principle", slug, copy.key)


@require_POST
@require_role(*WRITERS)
def retire(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    """Take a principle out of use, or back into it; its words stay in the draft either way."""
    principle = get_draft_principle_for(request.user, slug, key)
    is_used = request.POST.get("use") == "1"
    try:
        actions.edit_principle(
            user=request.user,
            principle=principle,
            expected=principle.revision,
            changes={"enabled": is_used},
            origin=actions.Origin({"enabled": principle.enabled}),
        )
    except (actions.Gone, actions.Conflict) as refusal:
        messages.info(request, str(refusal))
        return redirect("constitutions:draft", slug)
    messages.success(request, "In use again." if is_used else "Retired: its words are kept and sent to no model.")
    return redirect("constitutions:draft_principle", slug, key)


@require_POST
@require_role(*WRITERS)
def undo(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    return _turned_back(request, slug, actions.undo, "Undone")


@require_POST
@require_role(*WRITERS)
def redo(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    return _turned_back(request, slug, actions.redo, "Done again")


def _turned_back(
    request: AuthenticatedHttpRequest, slug: str, verb: Callable[..., actions.Undone], word: str
) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    try:
        undone = verb(user=request.user, draft=draft)
    except actions.Refused as refusal:
        messages.info(request, str(refusal))
        return redirect(editing.place_address(draft, request.POST.get("at", "")))
    messages.success(request, f"{word}: {undone.words}.")
    return redirect(editing.place_address(draft, undone.place))


def _save(request: AuthenticatedHttpRequest, principle: DraftPrinciple) -> HttpResponse:
    autosave = editing.is_autosave(request)
    form = PrincipleForm(request.POST, instance=principle, only=_posted(request, autosave))
    if form.is_valid():
        try:
            row = actions.edit_principle(
                user=request.user,
                principle=principle,
                expected=_revision(request),
                changes=form.cleaned_data,
                origin=conflicts.principle_origin(request, principle),
            )
        except actions.Conflict as conflict:
            return _conflict(request, principle, conflict)
        except actions.Gone as gone:
            if autosave:
                return editing.not_there(str(gone))
            messages.error(request, str(gone))
            return redirect("constitutions:draft", principle.draft.address)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            if autosave:
                return editing.saved(row.revision)
            messages.success(request, "Saved.")
            return redirect("constitutions:draft_principle", principle.draft.address, principle.key)
    if autosave:
        return editing.unfit(form.errors)
    return _editor(request, principle, form, status=422)


def _posted(request: HttpRequest, autosave: bool) -> Iterable[str]:
    """Which fields a save speaks of: an autosave names them, a whole form has them."""
    if autosave:
        return request.POST.get("changed", "").split(",")
    return BOXES.union(request.POST)


def _revision(request: HttpRequest) -> int:
    """The revision a save was made from; one that is no number is none the row ever had."""
    revision = request.POST.get("revision", "")
    return int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 19 else -1


def _conflict(request: AuthenticatedHttpRequest, principle: DraftPrinciple, conflict: actions.Conflict) -> HttpResponse:
    current = conflict.current
    if not isinstance(current, DraftPrinciple):
        raise TypeError("A principle's conflict carries a principle.")
    current.draft = principle.draft
    labels = PrincipleForm(instance=current)
    if editing.is_autosave(request):
        return conflicts.stale(conflict, current.revision, principle_values(current), labels)
    # The hidden revision becomes the current one: whoever has read both texts here and saves again means it.
    posted = request.POST.copy()
    for name, value in conflict.settled.merged.items():
        shown = labels.fields[name].prepare_value(value)
        posted.setlist(name, shown if isinstance(shown, list) else [shown])
    return _editor(
        request,
        current,
        PrincipleForm(posted, instance=current),
        status=409,
        conflict=True,
        clashes=conflicts.shown_clashes(conflict, labels),
        merged=conflicts.merged_names(conflict, labels),
        by=editing.editor_name(current),
    )


def _editor(
    request: AuthenticatedHttpRequest,
    principle: DraftPrinciple,
    form: PrincipleForm,
    status: int = 200,
    **extra: object,
) -> HttpResponse:
    # The draft again, with everything that the outline shows in the same query.
    draft = get_editable_draft_for(request.user, principle.draft.address)
    outline = editing.outline_context(draft, current=principle.key)
    standings = of_principle(draft.constitution, outline["working"], principle.key)
    ctx = {
        **outline,
        "scenarios": len(standings),
        "scenarios_passed": sum(one.state == PASSED for one in standings),
        **hints.beside(principle, principle.to_core(), principle.edit_kind),
        "principle": principle,
        "form": form,
        "base_json": json.dumps(principle_values(principle)),
        "removed_seq": editing.removed_seq(request),
        **extra,
    }
    return render(request, "constitutions/edit_principle.html", ctx, status=status)
