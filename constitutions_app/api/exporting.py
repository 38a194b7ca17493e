"""Versions and drafts in our own formats."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from constitutions_app.access import get_draft_for, get_version_for
from constitutions_app.api.addresses import FORMAT, NUMBER, SLUG
from constitutions_app.api.asking import HasRole
from constitutions_app.views.exporting import exported


class ExportVersion(APIView):
    """A version in our own format; importing it gives the same digest."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, NUMBER, FORMAT], responses=OpenApiTypes.BINARY, operation_id="export_version")
    def get(self, request: Request, slug: str, number: int, form: str) -> HttpResponse:
        version = get_version_for(request.user, slug, number)
        return exported(version.to_core(), form, f"{version.constitution.slug}-v{version.number}")


class ExportDraft(APIView):
    """A draft in our own format."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, FORMAT], responses=OpenApiTypes.BINARY, operation_id="export_draft")
    def get(self, request: Request, slug: str, form: str) -> HttpResponse:
        draft = get_draft_for(request.user, slug)
        return exported(draft.to_core(), form, f"{draft.address.replace('@', '-')}-draft")
