"""The start, the list of constitutions, a new one, and the page of one."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, OuterRef, Q, Subquery
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from constitutions_app import actions
from constitutions_app.access import (
    WRITERS,
    AuthenticatedHttpRequest,
    get_draft_for,
    require_role,
)
from constitutions_app.comparing import Activity, grouped_activity
from constitutions_app.core import principles as core
from constitutions_app.core.diff import diff_constitutions
from constitutions_app.forms.constitutions import CreateForm
from constitutions_app.forms.versions import CompareForm
from constitutions_app.models import MAIN, Constitution, Draft, LedgerEntry, Version
from constitutions_app.scenario_results import in_use, standings, tally
from constitutions_app.uploads import imports_of

ACTIVITY_SHOWN = 60
ACTIVITY_LINES = 15
VERSIONS_SHOWN = 200


@require_safe
@require_role()
def home(request: AuthenticatedHttpRequest) -> HttpResponse:
    return redirect("constitutions:list")


@require_safe
@require_role()
def index(request: AuthenticatedHttpRequest) -> HttpResponse:
    newest = Version.objects.filter(constitution=OuterRef("pk")).order_by("-number")
    constitutions = (
        Constitution.objects.with_draft()
        .annotate(
            newest_number=Subquery(newest.values("number")[:1]),
            newest_at=Subquery(newest.values("created_at")[:1]),
            principle_count=Count("drafts__principles", filter=Q(drafts__branch=MAIN)),
        )
        .order_by("name", "pk")
    )
    return render(request, "constitutions/list.html", {"constitutions": constitutions})


@require_role(*WRITERS)
def create(request: AuthenticatedHttpRequest) -> HttpResponse:
    form = CreateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        start = form.cleaned_data["start"]
        try:
            made = actions.create_constitution(
                user=request.user,
                name=form.cleaned_data["name"],
                description=form.cleaned_data["description"],
                start=start.to_core() if start else None,
            )
        except actions.Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"{made.name} is yours to write. Nothing is published yet.")
            return redirect("constitutions:draft", made.slug)
    return render(request, "constitutions/create.html", {"form": form}, status=422 if form.errors else 200)


@require_safe
@require_role()
def detail(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    draft = get_draft_for(request.user, slug)
    constitution, words = draft.constitution, draft.to_core()
    versions = list(
        constitution.versions.select_related("author", "parent")
        .prefetch_related("aliases")
        .defer("canonical", "parent__canonical")
        .annotate(principle_count=Count("principles"))
        .order_by("-number")[:VERSIONS_SHOWN]
    )
    newest = next((version for version in versions if version.branch == MAIN), None)
    ctx = {
        "constitution": constitution,
        "draft": draft,
        "versions": versions,
        "newest": newest,
        "changes": _draft_changes(draft, words),
        "compare_form": CompareForm(
            initial={"old": f"v{newest.number}" if newest else "draft", "new": "draft"}, constitution=constitution
        ),
        "scenario_counts": tally(standings(list(in_use(constitution)), words)),
        "imports": imports_of(constitution),
        "activity": _activity_of(constitution),
    }
    return render(request, "constitutions/detail.html", ctx)


def _draft_changes(draft: Draft, words: core.Constitution) -> dict[str, object] | None:
    """How far the draft's words are from its base version; None when nothing is published yet."""
    if draft.base is None:
        return None
    found = diff_constitutions(draft.base.to_core(), words)
    return {"count": found.count, "summary": found.summary}


def _activity_of(constitution: Constitution) -> list[Activity]:
    entries = list(
        LedgerEntry.objects.filter(object_type=constitution._meta.label_lower, object_id=str(constitution.pk)).order_by(
            "-seq"
        )[:ACTIVITY_SHOWN]
    )
    return grouped_activity(entries)[:ACTIVITY_LINES]
