"""Branches, and merging a version into a draft: first what it would do, then doing it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import (
    get_constitution_for,
    get_draft_for,
    get_editable_draft_for,
    get_state_for,
    get_version_for,
    require_writer,
)
from constitutions_app.api.addresses import MERGED, SLUG
from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.api.drafts import DraftSerializer, draft_body
from constitutions_app.core import diff, merge
from constitutions_app.core import principles as core
from constitutions_app.lineages import sides_of
from constitutions_app.models import Draft, Version


class BranchSerializer(serializers.Serializer[Any]):
    """A branch: its name, the address of its draft, the version it goes on from, and whether it is closed."""

    branch = serializers.CharField()
    address = serializers.CharField()
    base = serializers.IntegerField(source="base.number", allow_null=True, default=None)
    closed_at = serializers.DateTimeField(allow_null=True)
    revision = serializers.IntegerField()


class StartBranchSerializer(serializers.Serializer[Any]):
    """The name of a new branch and the number of the version it begins with."""

    name = serializers.CharField(max_length=60)
    version = serializers.IntegerField(min_value=1, max_value=999_999_999)


class ConflictSerializer(serializers.Serializer[Any]):
    """Something both sides changed in different ways; null is a side that removed it."""

    key = serializers.CharField()
    kind = serializers.ChoiceField(choices=["words", "value", "edited_or_removed"])
    principle = serializers.CharField()
    field = serializers.CharField()
    base = serializers.SerializerMethodField()
    ours = serializers.SerializerMethodField()
    theirs = serializers.SerializerMethodField()

    @extend_schema_field(OpenApiTypes.ANY)
    def get_base(self, conflict: merge.Conflict) -> Any:
        return _side(conflict.base)

    @extend_schema_field(OpenApiTypes.ANY)
    def get_ours(self, conflict: merge.Conflict) -> Any:
        return _side(conflict.ours)

    @extend_schema_field(OpenApiTypes.ANY)
    def get_theirs(self, conflict: merge.Conflict) -> Any:
        return _side(conflict.theirs)


class MergeSerializer(serializers.Serializer[Any]):
    """What a merge would do. Send `revision` back with the choices."""

    revision = serializers.IntegerField()
    ancestor = serializers.CharField(allow_null=True)
    already_merged = serializers.BooleanField()
    summary = serializers.CharField()
    conflicts = ConflictSerializer(many=True)


class ChoicesSerializer(serializers.Serializer[Any]):
    """A choice for each conflict by its key, or own words in its place."""

    revision = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    choices = serializers.DictField(
        child=serializers.ChoiceField(choices=["ours", "theirs", "base", "both"]), default=dict
    )
    written = serializers.DictField(child=serializers.CharField(allow_blank=True, max_length=20_000), default=dict)


class Branches(APIView):
    """The branches of a constitution; posting starts one from a version."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG], responses=BranchSerializer(many=True), operation_id="branches")
    def get(self, request: Request, slug: str) -> Response:
        drafts = get_constitution_for(request.user, slug).drafts.select_related("base", "constitution")
        return Response(BranchSerializer(drafts.order_by("pk"), many=True).data)

    @extend_schema(
        parameters=[SLUG],
        request=StartBranchSerializer,
        responses={201: BranchSerializer, 409: RefusalSerializer},
        operation_id="start_branch",
    )
    def post(self, request: Request, slug: str) -> Response:
        constitution = get_constitution_for(request.user, slug)
        require_writer(request.user)
        asked = checked(StartBranchSerializer(data=request.data))
        version = get_version_for(request.user, constitution.slug, asked["version"])
        with conflicts_told():
            draft = actions.start_branch(user=person_of(request), version=version, name=asked["name"])
        return Response(BranchSerializer(draft).data, status=status.HTTP_201_CREATED)


class MergeInto(APIView):
    """What merging a version into a draft would do; posting does it, with a choice for every conflict."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, MERGED], responses=MergeSerializer, operation_id="merge_preview")
    def get(self, request: Request, slug: str, merged: str) -> Response:
        draft = get_draft_for(request.user, slug)
        version = get_state_for(request.user, draft.constitution.slug, merged)
        sides = sides_of(draft, _version(version))
        found = merge.merge(sides.base, sides.ours, sides.theirs)
        return Response(
            {
                "revision": draft.revision,
                "ancestor": str(sides.ancestor) if sides.ancestor else None,
                "already_merged": sides.already_merged,
                "summary": diff.diff_constitutions(sides.ours, found.constitution).summary,
                "conflicts": ConflictSerializer(found.conflicts, many=True).data,
            }
        )

    @extend_schema(
        parameters=[SLUG, MERGED],
        request=ChoicesSerializer,
        responses={200: DraftSerializer, 409: RefusalSerializer},
        operation_id="merge",
    )
    def post(self, request: Request, slug: str, merged: str) -> Response:
        draft = get_editable_draft_for(request.user, slug)
        version = get_state_for(request.user, draft.constitution.slug, merged)
        asked = checked(ChoicesSerializer(data=request.data))
        own = {key: merge.Written(text) for key, text in asked["written"].items()}
        with conflicts_told():
            actions.merge_version(
                user=person_of(request),
                draft=draft,
                version=_version(version),
                choices=asked["choices"] | own,
                expected=asked["revision"],
            )
        return Response(draft_body(get_draft_for(request.user, slug)))


def _version(state: Version | Draft) -> Version:
    """A merge takes versions: a branch is published before it is merged."""
    if isinstance(state, Draft):
        raise Http404("Drafts are not merged; publish it and merge the version.")
    return state


def _side(value: merge.Value) -> Any:
    """What one side of a conflict says, as JSON holds it."""
    return asdict(value) if isinstance(value, core.Principle | core.Exemplar) else value
