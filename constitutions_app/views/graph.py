"""All versions of a constitution: their graph, the branches, the aliases, and the list behind the picture."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from constitutions_app.access import AuthenticatedHttpRequest, get_constitution_for, require_role
from constitutions_app.actions.aliases import APPROVED, LATEST
from constitutions_app.approvals import approvals_of
from constitutions_app.drawing import draw
from constitutions_app.ledger import name_of
from constitutions_app.models import MAIN, Alias, Constitution, Version

LISTED = 200
DRAWN = 60
"""The newest versions that the picture shows; the list goes further back."""


@dataclass(frozen=True)
class Row:
    """One version of the list, with the names that point to it and who approved it."""

    version: Version
    aliases: tuple[str, ...]
    approved_by: tuple[str, ...]


@require_safe
@require_role()
def versions(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    constitution = get_constitution_for(request.user, slug)
    listed = list(
        constitution.versions.select_related("author", "parent", "second_parent__constitution")
        .defer("canonical", "parent__canonical", "second_parent__canonical")
        .order_by("-number")[:LISTED]
    )
    drafts = list(constitution.drafts.select_related("base", "updated_by").defer("base__canonical", "preamble"))
    aliases = list(constitution.aliases.select_related("version", "moved_by").defer("version__canonical"))
    ctx = {
        "constitution": constitution,
        "origin": constitution.forked_from,
        "forks": Constitution.objects.filter(forked_from__constitution=constitution),
        "rows": rows_of(listed, aliases),
        "drawing": draw(listed[:DRAWN][::-1], drafts) if listed else None,
        "drafts": sorted(drafts, key=lambda draft: (draft.closed_at is not None, not draft.is_main, draft.branch)),
        "aliases": aliases,
        "names": sorted({APPROVED, "production"} | {alias.name for alias in aliases}),
    }
    return render(request, "constitutions/versions.html", ctx)


def rows_of(versions: list[Version], aliases: list[Alias]) -> list[Row]:
    """The versions with their aliases, "latest" among them, and approvals. One query. `versions` newest first."""
    approved = approvals_of(versions)
    latest = next((version.pk for version in versions if version.branch == MAIN), None)
    return [
        Row(
            version=version,
            aliases=(
                *((LATEST,) if version.pk == latest else ()),
                *(alias.name for alias in aliases if alias.version_id == version.pk),
            ),
            approved_by=tuple(name_of(verdict.person) for verdict in approved.get(version.pk, ())),
        )
        for version in versions
    ]
