"""What was published: a version, one principle of it, and the very text that was digested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from constitutions_app.access import AuthenticatedHttpRequest, get_principle_for, get_version_for, require_role
from constitutions_app.approvals import approvals_of
from constitutions_app.core import diff
from constitutions_app.core.principles import Principle, from_dict
from constitutions_app.core.wordings import wordings_for
from constitutions_app.lineages import latest_of
from constitutions_app.models import PrincipleVersion, Version
from constitutions_app.scenario_results import of_principle
from constitutions_app.uploads import provenance_of


@dataclass(frozen=True)
class Moment:
    """A version in which a principle was written, changed or taken out; `spans` are of its text against before."""

    version: Version
    kind: str
    spans: tuple[diff.Span, ...]
    others: tuple[str, ...]


@require_safe
@require_role()
def version(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    version = get_version_for(request.user, slug, number)
    body = version.to_core()
    newest = latest_of(version.constitution)
    ctx = {
        "version": version,
        "constitution": version.constitution,
        "body": body,
        "principles": [(number, item, wordings_for(item)) for number, item in enumerate(body.principles, start=1)],
        "aliases": _aliases_of(version, newest),
        "approvals": approvals_of([version]).get(version.pk, ()),
        "newest_number": newest.number if newest else version.number,
    }
    return render(request, "constitutions/version.html", ctx)


@require_safe
@require_role()
def principle(request: AuthenticatedHttpRequest, slug: str, number: int, key: str) -> HttpResponse:
    row = get_principle_for(request.user, slug, number, key)
    keys = list(row.version.principles.values_list("key", flat=True))
    at = keys.index(key)
    item = _to_core(row)
    ctx = {
        "row": row,
        "version": row.version,
        "constitution": row.version.constitution,
        "item": item,
        "wordings": wordings_for(item),
        "number": at + 1,
        "of": len(keys),
        "previous_key": keys[at - 1] if at else "",
        "next_key": keys[at + 1] if at + 1 < len(keys) else "",
        "history": list(_history(row))[::-1],
        "tested_by": of_principle(row.version.constitution, row.version.to_core(), key),
        "provenance": provenance_of(row.version.constitution, key),
    }
    return render(request, "constitutions/principle.html", ctx)


@require_safe
@require_role()
def canonical(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    """The canonical JSON, byte for byte: its sha256 is the digest."""
    version = get_version_for(request.user, slug, number)
    response = HttpResponse(
        version.canonical.encode("utf-8"),
        content_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{version.constitution.slug}-v{version.number}.json"',
            "ETag": f'"{version.digest}"',
        },
    )
    patch_cache_control(response, private=True, max_age=3600)
    return response


def _aliases_of(version: Version, newest: Version | None) -> list[str]:
    """The names that lead to a version now. One query."""
    return [*(["latest"] if newest == version else []), *version.aliases.values_list("name", flat=True)]


def _to_core(row: PrincipleVersion) -> Principle:
    return from_dict({"name": "one principle", "principles": [row.body]}).principles[0]


def _history(row: PrincipleVersion) -> Iterator[Moment]:
    """Every version in which this principle came, changed or went, oldest first. Two queries."""
    constitution = row.version.constitution
    versions: Sequence[Version] = list(
        constitution.versions.select_related("author").defer("canonical").order_by("number")
    )
    rows = PrincipleVersion.objects.filter(version__constitution=constitution, key=row.key)
    bodies = dict(rows.values_list("version_id", "body"))
    effort = diff.Effort()
    before: Principle | None = None
    for version in versions:
        body = bodies.get(version.pk)
        now = from_dict({"name": "one principle", "principles": [body]}).principles[0] if body else None
        if now == before:
            continue
        changed = diff.diff_principles(before, now, effort) if before and now else ()
        yield Moment(
            version=version,
            kind="added" if before is None else "removed" if now is None else "edited",
            spans=diff.diff_words(before.text if before else "", now.text if now else "", effort),
            others=tuple(part.name for part in changed if part.name != "text"),
        )
        before = now
