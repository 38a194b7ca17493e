"""A draft as it stands, and publishing it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import get_draft_for, get_editable_draft_for
from constitutions_app.api.addresses import SLUG
from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.api.versions import VersionSerializer
from constitutions_app.core import principles as core
from constitutions_app.ledger import name_of
from constitutions_app.models import Draft


class DraftSerializer(serializers.Serializer[Any]):
    """A draft as it stands: what its digest would be if it were published now, and its canonical JSON."""

    revision = serializers.IntegerField()
    branch = serializers.CharField()
    base = serializers.IntegerField(allow_null=True)
    merging = serializers.CharField(allow_null=True)
    digest = serializers.CharField()
    canonical = serializers.CharField()
    updated_at = serializers.DateTimeField()
    updated_by = serializers.CharField()


class PublishSerializer(serializers.Serializer[Any]):
    """The change note, and the draft's revision that was read."""

    note = serializers.CharField(max_length=2000, allow_blank=True)
    revision = serializers.IntegerField(min_value=0)


class OneDraft(APIView):
    """The draft as it stands."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG], responses=DraftSerializer, operation_id="draft")
    def get(self, request: Request, slug: str) -> Response:
        return Response(draft_body(get_draft_for(request.user, slug)))


class Publish(APIView):
    """Freezes the draft as the next version, as the page does."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[SLUG],
        request=PublishSerializer,
        responses={201: VersionSerializer, 409: RefusalSerializer},
        operation_id="publish",
    )
    def post(self, request: Request, slug: str) -> Response:
        draft = get_editable_draft_for(request.user, slug)
        asked = checked(PublishSerializer(data=request.data))
        with conflicts_told():
            version = actions.publish_version(
                user=person_of(request),
                draft=draft,
                note=asked["note"],
                expected=asked["revision"],
            )
        return Response(VersionSerializer(version).data, status=status.HTTP_201_CREATED)


def draft_body(draft: Draft) -> Any:
    """The draft as DraftSerializer describes it."""
    canonical = core.canonical_json(draft.to_core())
    body = {
        "revision": draft.revision,
        "branch": draft.branch,
        "base": draft.base.number if draft.base else None,
        "merging": f"{draft.merging.constitution.slug}@{draft.merging.number}" if draft.merging else None,
        "digest": core.digest_of_text(canonical),
        "canonical": canonical,
        "updated_at": draft.updated_at,
        "updated_by": name_of(draft.updated_by),
    }
    return DraftSerializer(body).data
