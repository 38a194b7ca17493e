"""Threads on words of a draft, what is said in them, and suggestions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from constitutions_app import actions
from constitutions_app.access import (
    DISCUSSERS,
    WRITERS,
    AuthenticatedHttpRequest,
    can_write,
    get_discussable_draft_for,
    get_draft_for,
    get_editable_draft_for,
    get_suggestion_for,
    get_thread_for,
    require_role,
)
from constitutions_app.core.diff import diff_words
from constitutions_app.forms.reviews import ApplyForm, ReplyForm, ThreadForm
from constitutions_app.models import Draft, Suggestion, Thread
from constitutions_app.places import EXEMPLAR, PREAMBLE
from constitutions_app.review_page import talks_of, threads_of
from constitutions_app.views.reviews import review_page

THREADS_SHOWN = 200


@require_safe
@require_role()
def index(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """Every thread of the draft, resolved ones too, newest first."""
    draft = get_draft_for(request.user, slug)
    threads = threads_of(draft).order_by("-opened_at", "-pk")[:THREADS_SHOWN]
    ctx = {"constitution": draft.constitution, "draft": draft, "talks": talks_of(threads, draft.to_core())}
    return render(request, "constitutions/threads.html", ctx)


@require_POST
@require_role(*DISCUSSERS)
def begin(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_discussable_draft_for(request.user, slug)
    form = ThreadForm(request.POST, now=draft.to_core())
    if form.is_valid():
        said = {name: form.cleaned_data[name] for name in ("key", "field", "quote", "start", "body")}
        try:
            thread = actions.open_thread(user=request.user, draft=draft, replacement=form.suggestion(), **said)
        except actions.Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return _back(request, thread)
    return review_page(request, draft, thread_form=form)


@require_safe
@require_role()
def thread(request: AuthenticatedHttpRequest, slug: str, pk: int) -> HttpResponse:
    return _thread_page(request, get_thread_for(request.user, slug, pk), ReplyForm())


@require_POST
@require_role(*DISCUSSERS)
def reply(request: AuthenticatedHttpRequest, slug: str, pk: int) -> HttpResponse:
    found = get_thread_for(request.user, slug, pk)
    form = ReplyForm(request.POST)
    if form.is_valid():
        try:
            said = form.cleaned_data["body"]
            actions.reply(user=request.user, thread=found, body=said, replacement=form.suggestion())
        except actions.Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return _back(request, found)
    return _thread_page(request, found, form, status=422)


@require_POST
@require_role(*DISCUSSERS)
def resolve(request: AuthenticatedHttpRequest, slug: str, pk: int) -> HttpResponse:
    found = get_thread_for(request.user, slug, pk)
    try:
        actions.resolve_thread(user=request.user, thread=found)
    except actions.Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The thread is resolved. It stays readable under all threads.")
    return _back(request, found)


@require_POST
@require_role(*DISCUSSERS)
def reopen(request: AuthenticatedHttpRequest, slug: str, pk: int) -> HttpResponse:
    found = get_thread_for(request.user, slug, pk)
    try:
        actions.reopen_thread(user=request.user, thread=found)
    except actions.Refused as refusal:
        messages.error(request, str(refusal))
    return _back(request, found)


@require_POST
@require_role(*WRITERS)
def apply(request: AuthenticatedHttpRequest, slug: str, pk: int) -> HttpResponse:
    """One click puts the suggested words into the draft; where the words changed meanwhile, people decide."""
    get_editable_draft_for(request.user, slug)
    suggestion = get_suggestion_for(request.user, slug, pk)
    form = ApplyForm(request.POST)
    own: dict[str, Any] = dict(form.cleaned_data) if "words" in request.POST and form.is_valid() else {}
    try:
        actions.apply_suggestion(user=request.user, suggestion=suggestion, **own)
    except actions.WordsChanged as clash:
        return _clash_page(request, suggestion, clash, own.get("words"))
    except actions.Refused as refusal:
        messages.error(request, f"Nothing was applied. {refusal}")
    else:
        messages.success(request, "The suggestion is in the draft, with credit.")
    return _back(request, suggestion.comment.thread)


@require_POST
@require_role(*DISCUSSERS)
def decline(request: AuthenticatedHttpRequest, slug: str, pk: int) -> HttpResponse:
    """Writers decline; whoever made the suggestion may take it back."""
    suggestion = get_suggestion_for(request.user, slug, pk)
    if suggestion.comment.author_id != request.user.pk:
        get_editable_draft_for(request.user, slug)
    try:
        actions.decline_suggestion(user=request.user, suggestion=suggestion)
    except actions.Refused as refusal:
        messages.error(request, f"Nothing was changed. {refusal}")
    return _back(request, suggestion.comment.thread)


@require_safe
@require_role()
def of_principle(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    """The threads on one principle: a fragment for the editor, a page for everybody else."""
    draft = get_draft_for(request.user, slug)
    now = draft.to_core()
    threads = threads_of(draft).filter(key=key)
    if now.principle(key) is None and not threads.exists():
        get_object_or_404(draft.principles, key=key)
    return _threads_here(request, draft, threads, ThreadForm(now=now, key=key), key)


@require_safe
@require_role()
def of_preamble(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """The same for the preamble."""
    draft = get_draft_for(request.user, slug)
    form = ThreadForm(now=draft.to_core(), key="", part=PREAMBLE)
    return _threads_here(request, draft, threads_of(draft).filter(key="", field=PREAMBLE), form, "the preamble")


@require_safe
@require_role()
def of_exemplars(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """The same for the exemplars, all of them on one page as they are edited."""
    draft = get_draft_for(request.user, slug)
    form = ThreadForm(now=draft.to_core(), key="", part=EXEMPLAR)
    threads = threads_of(draft).filter(key="", field__startswith=EXEMPLAR)
    return _threads_here(request, draft, threads, form, "the exemplars")


def _threads_here(
    request: AuthenticatedHttpRequest, draft: Draft, threads: QuerySet[Thread], form: ThreadForm, about: str
) -> HttpResponse:
    ctx = {
        "constitution": draft.constitution,
        "draft": draft,
        "about": about,
        "talks": talks_of(threads, draft.to_core()),
        "thread_form": form,
    }
    name = "_principle_threads" if request.htmx else "principle_threads"
    return render(request, f"constitutions/{name}.html", ctx)


def _thread_page(request: AuthenticatedHttpRequest, found: Thread, form: ReplyForm, status: int = 200) -> HttpResponse:
    draft = found.draft
    (talk,) = talks_of(threads_of(draft).filter(pk=found.pk), draft.to_core())
    ctx = {"constitution": draft.constitution, "draft": draft, "talk": talk, "form": form}
    return render(request, "constitutions/thread.html", ctx, status=status)


def _clash_page(
    request: AuthenticatedHttpRequest, suggestion: Suggestion, clash: actions.WordsChanged, words: str | None
) -> HttpResponse:
    """409: the words as they were, as they are and as suggested, and a form with all of it in one text."""
    draft: Draft = suggestion.comment.thread.draft
    together = clash.together
    initial = {"words": words if words is not None else together.text(otherwise="theirs"), "seen": clash.standing.quote}
    ctx = {
        "constitution": draft.constitution,
        "draft": draft,
        "suggestion": suggestion,
        "standing": clash.standing,
        "since": diff_words(suggestion.original, clash.standing.quote),
        "suggested": diff_words(suggestion.original, suggestion.replacement),
        "touching": bool(together.conflicts),
        "form": ApplyForm(initial=initial),
    }
    return render(request, "constitutions/suggestion.html", ctx, status=409)


def _back(request: AuthenticatedHttpRequest, found: Thread) -> HttpResponse:
    """To where the form stood: the review page, the editor, or the thread itself."""
    address = found.draft.address
    place = request.POST.get("back", "")
    if place == "review" and found.resolved_at is None:
        return redirect(f"{reverse('constitutions:review', args=[address])}#thread-{found.pk}")
    if place == "review":
        return redirect("constitutions:review", address)
    if place == "editor" and (found.key or found.field) and can_write(request.user):
        if found.key:
            return redirect("constitutions:draft_principle", address, found.key)
        return redirect(f"constitutions:draft_{'preamble' if found.field == PREAMBLE else 'exemplars'}", address)
    return redirect("constitutions:thread", address, found.pk)
