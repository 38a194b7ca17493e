"""Publishing a draft, and bringing a version's words back into it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from constitutions_app import actions
from constitutions_app.access import (
    WRITERS,
    AuthenticatedHttpRequest,
    get_editable_draft_for,
    get_version_for,
    require_role,
)
from constitutions_app.comparing import compare
from constitutions_app.core import principles as core
from constitutions_app.core.diff import diff_constitutions
from constitutions_app.forms.versions import PublishForm
from constitutions_app.models import Draft
from constitutions_app.reviewing import state_of_review


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def publish(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    form = PublishForm(request.POST if request.method == "POST" else None, initial={"revision": draft.revision})
    refusal = ""
    if request.method == "POST" and "declare" in request.POST:
        return _declare(request, draft)
    if request.method == "POST" and form.is_valid():
        try:
            version = actions.publish_version(
                user=request.user,
                draft=draft,
                note=form.cleaned_data["note"],
                expected=form.cleaned_data["revision"],
            )
        except actions.PublishRefused as refused:
            refusal = str(refused)
        else:
            messages.success(request, f"{version} is published. Its words never change from here on.")
            return redirect("constitutions:version", draft.constitution.slug, version.number)
    return _page(request, draft, form, refusal)


def _declare(request: AuthenticatedHttpRequest, draft: Draft) -> HttpResponse:
    """Keep what the page says of the edits, and show it again with the note as it was typed."""
    kinds = {name.removeprefix("kind-"): value for name, value in request.POST.items() if name.startswith("kind-")}
    form = PublishForm(initial={"note": request.POST.get("note", ""), "revision": draft.revision})
    try:
        actions.declare_edits(user=request.user, draft=draft, kinds={key: str(kind) for key, kind in kinds.items()})
    except actions.Refused as refusal:
        return _page(request, draft, form, str(refusal))
    draft = get_editable_draft_for(request.user, draft.address)
    form.initial["revision"] = draft.revision
    return _page(request, draft, form, "")


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def restore(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    draft = get_editable_draft_for(request.user, slug)
    version = get_version_for(request.user, slug, number)
    if request.method == "POST":
        try:
            actions.start_draft_from_version(user=request.user, draft=draft, version=version)
        except actions.Refused as refusal:
            messages.info(request, str(refusal))
        else:
            messages.success(request, f"The draft says what {version} says. What it said before is kept in the ledger.")
        return redirect("constitutions:draft", slug)
    lost = diff_constitutions(draft.base.to_core(), draft.to_core()) if draft.base else None
    ctx = {"constitution": draft.constitution, "draft": draft, "version": version, "lost": lost}
    return render(request, "constitutions/restore.html", ctx)


def _page(request: AuthenticatedHttpRequest, draft: Draft, form: PublishForm, refusal: str) -> HttpResponse:
    base = draft.base.to_core() if draft.base else core.Constitution(name=draft.constitution.name)
    failed = bool(refusal or form.errors)
    if failed and form.is_bound:
        # The note stays as it was typed; the revision is that of the words now shown, so the next attempt can succeed.
        data = request.POST.copy()
        data["revision"] = str(draft.revision)
        form = PublishForm(data)
        if refusal == actions.NO_NOTE:
            form.add_error("note", refusal)
    declared = dict(draft.principles.exclude(edit_kind="").values_list("key", "edit_kind"))
    now = draft.to_core()
    comparison = compare(base, now, declared)
    ctx = {
        "constitution": draft.constitution,
        "draft": draft,
        "form": form,
        "refusal": "" if refusal == actions.NO_NOTE else refusal,
        "comparison": comparison,
        "edited": [row for row in comparison.principles if row.edit],
        "state": state_of_review(draft, now),
        "can_publish": bool(comparison.diff.count or draft.merging or failed),
        "declared": bool(declared),
        "old_ref": draft.base or "nothing",
        "new_ref": draft.ref,
    }
    return render(request, "constitutions/publish.html", ctx, status=422 if failed else 200)
