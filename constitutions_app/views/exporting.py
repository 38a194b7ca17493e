"""Export: a version or a draft in our own format. What is written here imports to the same digest."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from constitutions_app.access import AuthenticatedHttpRequest, get_draft_for, get_version_for, require_role
from constitutions_app.core import principles as core
from constitutions_app.core.interchange import WRITTEN, write

TYPES = {
    "json": ("application/json", "json"),
    "yaml": ("application/yaml", "yaml"),
    "markdown": ("text/markdown; charset=utf-8", "md"),
}
"""Of each format: the type it is sent as, and how its files' names end."""


@require_safe
@require_role()
def version(request: AuthenticatedHttpRequest, slug: str, number: int, format: str) -> HttpResponse:
    found = get_version_for(request.user, slug, number)
    return exported(found.to_core(), format, f"{found.constitution.slug}-v{found.number}")


@require_safe
@require_role()
def draft(request: AuthenticatedHttpRequest, slug: str, format: str) -> HttpResponse:
    found = get_draft_for(request.user, slug)
    return exported(found.to_core(), format, f"{found.address.replace('@', '-')}-draft")


def exported(body: core.Constitution, format: str, name: str) -> HttpResponse:
    """A download. It is never shown in place, so nothing in its words can act. Raises 404 for an unknown format."""
    if format not in WRITTEN:
        raise Http404(f"Constitutions are written as {', '.join(WRITTEN)}.")
    kind, ending = TYPES[format]
    return HttpResponse(
        write(body, format).encode("utf-8"),
        content_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{name}.{ending}"'},
    )
