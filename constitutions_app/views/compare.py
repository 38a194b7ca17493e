"""Any two states of a constitution next to each other, at a permanent address."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from constitutions_app.access import (
    AuthenticatedHttpRequest,
    get_constitution_for,
    get_state_for,
    require_role,
)
from constitutions_app.comparing import compare
from constitutions_app.core import principles as core
from constitutions_app.forms.versions import CompareForm
from constitutions_app.models import Draft, EditKind, Version
from constitutions_app.review_page import open_threads


@dataclass(frozen=True)
class Side:
    """One side of a comparison: "v3" or "draft", its row, and its words."""

    ref: str
    row: Version | Draft
    body: core.Constitution

    @property
    def number(self) -> int | None:
        return self.row.number if isinstance(self.row, Version) else None


@require_safe
@require_role()
def choose(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """The selects of a compare form lead to the permanent address of that comparison."""
    constitution = get_constitution_for(request.user, slug)
    newest = constitution.versions.values_list("number", flat=True).first()
    fallback = f"v{newest}" if newest else "draft"
    form = CompareForm(request.GET, constitution=constitution)
    old, new = (form.cleaned_data["old"], form.cleaned_data["new"]) if form.is_valid() else (fallback, "draft")
    return redirect("constitutions:compare", slug, old, new)


@require_safe
@require_role()
def show(request: AuthenticatedHttpRequest, slug: str, old: str, new: str) -> HttpResponse:
    constitution = get_constitution_for(request.user, slug)
    left, right = side_for(request, slug, old), side_for(request, slug, new)
    ctx = {
        "constitution": constitution,
        "left": left,
        "right": right,
        "old_ref": left.ref,
        "new_ref": right.ref,
        "comparison": compare(left.body, right.body, declared(left, right)),
        "side_by_side": request.GET.get("view") == "side-by-side",
        "same_house": left.row.constitution_id == right.row.constitution_id == constitution.pk,
        "open_threads": open_threads(right.row) if isinstance(right.row, Draft) else {},
        "form": CompareForm(initial={"old": old, "new": new}, constitution=constitution),
    }
    return render(request, "constitutions/compare.html", ctx)


def declared(left: Side, right: Side) -> dict[str, str]:
    """What people said the edits of the right side are, by principle key, where they said it against the left one."""
    if isinstance(right.row, Draft):
        said = right.row.principles.exclude(edit_kind="").values_list("key", "edit_kind")
        return dict(said) if right.row.base_id == left.row.pk and isinstance(left.row, Version) else {}
    if not isinstance(left.row, Version) or right.row.parent_id != left.row.pk:
        return {}
    return dict(right.row.principles.filter(change__in=EditKind.values).values_list("key", "change"))


def side_for(request: AuthenticatedHttpRequest, slug: str, ref: str) -> Side:
    """The side a reference names, fetched through the same access functions as its own page."""
    row = get_state_for(request.user, slug, ref)
    return Side(ref, row, row.to_core())
