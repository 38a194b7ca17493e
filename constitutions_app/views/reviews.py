"""Review of a draft: what changed with the threads in it, who said what, and what publishing still waits for."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from constitutions_app import actions
from constitutions_app.access import (
    DISCUSSERS,
    WRITERS,
    AuthenticatedHttpRequest,
    can_approve,
    get_constitution_for,
    get_discussable_draft_for,
    get_draft_for,
    get_editable_draft_for,
    get_review_for,
    require_role,
)
from constitutions_app.core import principles as core
from constitutions_app.forms.reviews import RequestForm, RulesForm, ThreadForm, VerdictForm
from constitutions_app.models import Draft, Review
from constitutions_app.review_page import parts_of, talks_of, threads_of
from constitutions_app.reviewing import open_review, rules_of, state_of_review, verdicts_on


@require_safe
@require_role()
def review(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    return review_page(request, get_draft_for(request.user, slug))


@require_POST
@require_role(*WRITERS)
def ask(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    form = RequestForm(request.POST, user=request.user)
    if not form.is_valid():
        return review_page(request, draft, request_form=form)
    try:
        actions.request_review(user=request.user, draft=draft, **form.cleaned_data)
    except actions.Refused as refusal:
        form.add_error(None, str(refusal))
        return review_page(request, draft, request_form=form)
    messages.success(request, "The review is open. Those asked are told.")
    return redirect("constitutions:review", slug)


@require_POST
@require_role(*WRITERS)
def withdraw(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    asked = open_review(draft)
    if asked is None:
        messages.info(request, "No review is open.")
        return redirect("constitutions:review", slug)
    asked.draft = draft
    actions.withdraw_review(user=request.user, review=asked)
    messages.success(request, "The request is withdrawn. What was said is kept.")
    return redirect("constitutions:past_review", slug, asked.pk)


@require_POST
@require_role(*DISCUSSERS)
def verdict(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_discussable_draft_for(request.user, slug)
    form = VerdictForm(request.POST, binding=can_approve(request.user))
    asked = open_review(draft)
    if asked is None:
        form.add_error(None, "No review is open any more. Your words are kept below; an author can ask for another.")
    elif form.is_valid():
        asked.draft = draft
        said = form.cleaned_data
        try:
            actions.give_verdict(
                user=request.user, review=asked, word=said["word"], note=said["note"], expected=said["revision"]
            )
        except actions.Refused as refusal:
            form.add_error(None, f"{refusal} Your words are kept below.")
        else:
            messages.success(request, "Your verdict is saved.")
            return redirect("constitutions:review", slug)
    return review_page(request, draft, verdict_form=form)


@require_safe
@require_role()
def past(request: AuthenticatedHttpRequest, slug: str, pk: int) -> HttpResponse:
    """One review for ever: who was asked, what was said of which words, and how it ended."""
    found = get_review_for(request.user, slug, pk)
    words = found.version.to_core() if found.version else found.draft.to_core()
    ctx = {
        "constitution": found.draft.constitution,
        "draft": found.draft,
        "review": found,
        "said": list(verdicts_on(found, words)),
    }
    return render(request, "constitutions/past_review.html", ctx)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
def rules(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """What publishing asks for: read by everybody, changed by those who write."""
    constitution = get_constitution_for(request.user, slug)
    if request.method == "POST":
        get_editable_draft_for(request.user, slug)
    form = RulesForm(request.POST if request.method == "POST" else None, initial=vars(rules_of(constitution)))
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_rules(user=request.user, constitution=constitution, rules=form.rules())
        except actions.Refused as refusal:
            form.add_error(None, f"Nothing was changed. {refusal}")
        else:
            messages.success(request, "These rules hold from now on.")
            return redirect("constitutions:publishing_rules", slug)
    ctx = {"constitution": constitution, "form": form, "rules": rules_of(constitution)}
    return render(request, "constitutions/publishing_rules.html", ctx, status=422 if form.errors else 200)


def review_page(
    request: AuthenticatedHttpRequest,
    draft: Draft,
    *,
    request_form: RequestForm | None = None,
    verdict_form: VerdictForm | None = None,
    thread_form: ThreadForm | None = None,
) -> HttpResponse:
    """The page, with a form as it was filled in where that could not be saved (then 422)."""
    now = draft.to_core()
    base = draft.base.to_core() if draft.base else core.Constitution(name=now.name)
    talks = talks_of(threads_of(draft), now)
    failed = request_form or verdict_form or thread_form
    ctx: dict[str, Any] = {
        "constitution": draft.constitution,
        "draft": draft,
        "state": state_of_review(draft, now),
        "parts": parts_of(base, now, [talk for talk in talks if not talk.thread.resolved_at]),
        "resolved": sum(talk.thread.resolved_at is not None for talk in talks),
        "earlier": list(draft.reviews.exclude(state=Review.State.OPEN).select_related("version", "requested_by")[:20]),
        "request_form": request_form or RequestForm(user=request.user),
        "verdict_form": _verdict_form(request, draft, verdict_form),
        "thread_form": thread_form or ThreadForm(now=now),
        "thread_failed": thread_form is not None,
        "side_by_side": request.GET.get("view") == "side-by-side",
    }
    return render(request, "constitutions/review.html", ctx, status=422 if failed else 200)


def _verdict_form(request: AuthenticatedHttpRequest, draft: Draft, refused: VerdictForm | None) -> VerdictForm:
    """An empty one, or a refused one as it was typed; for the words that the page shows, so that it can succeed now."""
    form = refused or VerdictForm(binding=can_approve(request.user), initial={"revision": draft.revision})
    if form.is_bound:
        data = request.POST.copy()
        data["revision"] = str(draft.revision)
        form.data = data
    return form
