"""Branches and forks: starting one from a version, closing, reopening, and merging a version into a draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from constitutions_app import actions
from constitutions_app.access import (
    WRITERS,
    AuthenticatedHttpRequest,
    get_branch_for,
    get_editable_draft_for,
    get_version_for,
    require_role,
)
from constitutions_app.comparing import compare
from constitutions_app.core import diff, merge
from constitutions_app.forms.constitutions import ForkForm
from constitutions_app.forms.versions import BranchForm, MergeForm
from constitutions_app.lineages import Sides, mergeable_versions, sides_of
from constitutions_app.models import Draft, Version

CONTEXT = 90
"""Characters of settled text shown on either side of a conflict."""


@dataclass(frozen=True)
class Decision:
    """One conflict as the page shows it: where it stands, both sides against the base, and what was chosen so far."""

    conflict: merge.Conflict
    title: str
    before: str
    after: str
    ours: tuple[diff.Span, ...]
    theirs: tuple[diff.Span, ...]
    chosen: str
    own: str

    @property
    def is_words(self) -> bool:
        return self.conflict.kind == "words"


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def start(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    version = get_version_for(request.user, slug, number)
    form = BranchForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            draft = actions.start_branch(user=request.user, version=version, name=form.cleaned_data["name"])
        except actions.Refused as refusal:
            form.add_error("name", str(refusal))
        else:
            messages.success(request, f"The branch “{draft.branch}” begins with the words of {version}.")
            return redirect("constitutions:draft", draft.address)
    ctx = {"constitution": version.constitution, "version": version, "form": form}
    return render(request, "constitutions/start_branch.html", ctx, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def fork(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    version = get_version_for(request.user, slug, number)
    form = ForkForm(request.POST or None, initial={"name": f"{version.constitution.name}, our own"})
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.fork_constitution(user=request.user, version=version, **form.cleaned_data)
        except actions.Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(
                request, f"{made.name} is yours to write. It remembers that it comes from {slug} {version}."
            )
            return redirect("constitutions:detail", made.slug)
    ctx = {"constitution": version.constitution, "version": version, "form": form}
    return render(request, "constitutions/fork.html", ctx, status=422 if form.errors else 200)


@require_POST
@require_role(*WRITERS)
def close(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    return _told(request, get_branch_for(request.user, slug), closed=True)


@require_POST
@require_role(*WRITERS)
def reopen(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    return _told(request, get_branch_for(request.user, slug), closed=False)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def merge_in(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """Choose a version, decide its conflicts, merge it. Nothing is written before the last step."""
    draft = get_editable_draft_for(request.user, slug)
    asked = request.POST if request.method == "POST" else request.GET
    form = MergeForm(asked if "version" in asked else None, versions=mergeable_versions(draft))
    if not form.is_valid():
        return render(request, "constitutions/merge_choose.html", _context(draft, form))
    chosen: Version = form.cleaned_data["version"]
    version = get_version_for(request.user, chosen.constitution.slug, chosen.number)
    refusal = ""
    if request.method == "POST":
        try:
            actions.merge_version(
                user=request.user,
                draft=draft,
                version=version,
                choices=choices_in(request.POST),
                expected=form.cleaned_data["revision"],
            )
        except actions.Refused as refused:
            refusal = str(refused)
        else:
            messages.success(request, f"{named(version, draft)} is merged into the draft. Read it, then publish it.")
            return redirect("constitutions:compare", draft.constitution.slug, draft.base or draft.ref, draft.ref)
    return _conflicts(request, draft, version, form, refusal)


def choices_in(posted: Mapping[str, object]) -> dict[str, merge.Choice | merge.Written]:
    """What a conflict page sends, by the conflicts' keys; what nobody decided is not in it."""
    found: dict[str, merge.Choice | merge.Written] = {}
    for name, value in posted.items():
        key = name.removeprefix("choice-")
        if key == name or value not in ("ours", "theirs", "base", "both", "own"):
            continue
        written = merge.Written(str(posted.get(f"own-{key}", "")))
        found[key] = written if value == "own" else cast(merge.Choice, value)
    return found


def named(version: Version, draft: Draft) -> str:
    """The version's name, with its constitution's where that is another one."""
    same = version.constitution_id == draft.constitution_id
    return str(version) if same else f"{version.constitution.name} {version}"


def _conflicts(
    request: AuthenticatedHttpRequest, draft: Draft, version: Version, form: MergeForm, refusal: str
) -> HttpResponse:
    sides = sides_of(draft, version)
    merged = merge.merge(sides.base, sides.ours, sides.theirs)
    reason = actions.reason_against_merging(draft, version, already=sides.already_merged)
    ctx = _context(draft, form) | {
        "version": version,
        "version_name": named(version, draft),
        "ancestor": sides.ancestor,
        "decisions": _decisions(merged, sides, request.POST),
        "comparison": compare(sides.ours, merged.constitution),
        "refusal": refusal or reason,
        "possible": not reason,
        "side_by_side": False,
    }
    return render(request, "constitutions/merge.html", ctx, status=422 if refusal else 200)


def _context(draft: Draft, form: MergeForm) -> dict[str, object]:
    return {"constitution": draft.constitution, "draft": draft, "form": form}


def _decisions(merged: merge.Merge, sides: Sides, posted: QueryDict) -> list[Decision]:
    titles = {item.id: item.title for side in (sides.theirs, sides.ours) for item in side.principles}
    return [_decision(conflict, merged, titles, posted) for conflict in merged.conflicts]


def _decision(conflict: merge.Conflict, merged: merge.Merge, titles: Mapping[str, str], posted: QueryDict) -> Decision:
    base, ours, theirs = (_words(side) for side in (conflict.base, conflict.ours, conflict.theirs))
    before, after = _around(conflict, merged)
    return Decision(
        conflict=conflict,
        title=titles.get(conflict.principle, "") or conflict.principle,
        before=before,
        after=after,
        ours=diff.diff_words(base, ours),
        theirs=diff.diff_words(base, theirs),
        chosen=posted.get(f"choice-{conflict.key}", ""),
        own=posted.get(f"own-{conflict.key}", ours),
    )


def _words(value: merge.Value) -> str:
    """What a side says, as text: a removed item says nothing, a whole principle says its text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return value.text if hasattr(value, "text") else f"{value.prompt}\n{value.response}\n{value.revision}"


def _around(conflict: merge.Conflict, merged: merge.Merge) -> tuple[str, str]:
    """The settled words on both sides of a conflict inside a text."""
    path, _, number = conflict.key.rpartition("/")
    if conflict.kind != "words" or path not in merged.texts:
        return "", ""
    pieces = merged.texts[path].pieces
    places = [index for index, piece in enumerate(pieces) if not isinstance(piece, str)]
    at = places[int(number) - 1]
    before = pieces[at - 1] if at else ""
    after = pieces[at + 1] if at + 1 < len(pieces) else ""
    return (
        before[-CONTEXT:] if isinstance(before, str) else "",
        after[:CONTEXT] if isinstance(after, str) else "",
    )


def _told(request: AuthenticatedHttpRequest, draft: Draft, *, closed: bool) -> HttpResponse:
    try:
        (actions.close_branch if closed else actions.reopen_branch)(user=request.user, draft=draft)
    except actions.Refused as refusal:
        messages.info(request, str(refusal))
    else:
        messages.success(
            request, f"The branch “{draft.branch}” is {'closed; its words stay' if closed else 'open again'}."
        )
    return redirect("constitutions:versions", draft.constitution.slug)
