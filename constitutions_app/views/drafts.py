"""The draft: reading it, and editing its principles one by one."""

from __future__ import annotations

from collections.abc import Iterable

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
from constitutions_app.core import principles as core
from constitutions_app.core.diff import diff_words
from constitutions_app.core.wordings import wordings_for
from constitutions_app.forms import AddPrincipleForm, PrincipleForm, principle_values
from constitutions_app.models import DraftPrinciple
from constitutions_app.views import editing

BOXES = frozenset({"strict", "enabled", "stages"})
"""Controls that a browser leaves out of a form when they are not ticked."""


@require_safe
@require_role()
def draft(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """Writers go on to the editor; everybody else reads the draft as it stands."""
    draft = get_draft_for(request.user, slug)
    if can_write(request.user):
        first = draft.principles.values_list("key", flat=True).first()
        if first is None:
            return redirect("constitutions:draft_preamble", slug)
        return redirect("constitutions:draft_principle", slug, first)
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
def sent(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    """What the model would be sent for the words in the form, saved or not. Changes nothing."""
    principle = get_draft_principle_for(request.user, slug, key)
    form = PrincipleForm(request.POST, instance=principle)
    form.is_valid()
    typed = {name: form.cleaned_data[name] for name in ("text", *_WORDINGS) if name in form.cleaned_data}
    for name, value in typed.items():
        setattr(principle, name, value)
    return render(request, "constitutions/_sent.html", _sent_context(principle.to_core()))


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
    principle = get_draft_principle_for(request.user, slug, key)
    keys = list(principle.draft.principles.values_list("key", flat=True))
    step = {"up": -1, "down": 1}.get(request.POST.get("direction", ""), 0)
    try:
        actions.move_principle(user=request.user, principle=principle, to=keys.index(key) + step)
    except actions.Gone as gone:
        messages.info(request, str(gone))
    if request.htmx:
        return editing.render_outline(request, get_editable_draft_for(request.user, slug), key)
    return redirect("constitutions:draft_principle", slug, key)


_WORDINGS = ("critique_request", "revision_request", "comparison_question")


def _save(request: AuthenticatedHttpRequest, principle: DraftPrinciple) -> HttpResponse:
    autosave = editing.is_autosave(request)
    form = PrincipleForm(request.POST, instance=principle, only=_posted(request, autosave))
    if form.is_valid():
        try:
            row = actions.edit_principle(
                user=request.user, principle=principle, expected=_revision(request), changes=form.cleaned_data
            )
        except actions.Conflict as conflict:
            return _conflict(request, principle, form, conflict)
        except actions.Gone as gone:
            if autosave:
                return editing.not_there(str(gone))
            messages.error(request, str(gone))
            return redirect("constitutions:draft", principle.draft.constitution.slug)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            if autosave:
                return editing.saved(row.revision)
            messages.success(request, "Saved.")
            return redirect("constitutions:draft_principle", principle.draft.constitution.slug, principle.key)
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


def _conflict(
    request: AuthenticatedHttpRequest, principle: DraftPrinciple, form: PrincipleForm, conflict: actions.Conflict
) -> HttpResponse:
    current = conflict.current
    if not isinstance(current, DraftPrinciple):
        raise TypeError("A principle's conflict carries a principle.")
    if editing.is_autosave(request):
        return editing.stale(current.revision, editing.editor_name(current), principle_values(current))
    clashes = [
        (
            form.fields[name].label or name.replace("_", " "),
            diff_words(_as_text(getattr(current, name)), _as_text(mine)),
        )
        for name, mine in form.cleaned_data.items()
        if getattr(current, name) != mine
    ]
    # The hidden revision becomes the current one: whoever has read both texts here and saves again means it.
    whole = PrincipleForm(request.POST, instance=current)
    return _editor(request, current, whole, status=409, clashes=clashes, by=editing.editor_name(current))


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _editor(
    request: AuthenticatedHttpRequest,
    principle: DraftPrinciple,
    form: PrincipleForm,
    status: int = 200,
    **extra: object,
) -> HttpResponse:
    # The draft again, with everything that the outline shows in the same query.
    draft = get_editable_draft_for(request.user, principle.draft.constitution.slug)
    ctx = {
        **editing.outline_context(draft, current=principle.key),
        **_sent_context(principle.to_core()),
        "principle": principle,
        "form": form,
        "removed_seq": editing.removed_seq(request),
        **extra,
    }
    return render(request, "constitutions/edit_principle.html", ctx, status=status)


def _sent_context(principle: core.Principle) -> dict[str, object]:
    wordings = wordings_for(principle)
    names = (("critique_request", "Critique request"), ("revision_request", "Revision request"))
    parts = [
        {"label": label, "name": name, "text": getattr(wordings, name), "own": bool(getattr(principle, name))}
        for name, label in (*names, ("comparison_question", "Comparison question"))
    ]
    return {"sent": parts, "has_text": bool(principle.text)}
