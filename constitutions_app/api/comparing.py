"""What changed from one state of a constitution to another, as data."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.access import get_state_for
from constitutions_app.api.addresses import SLUG, STATES
from constitutions_app.api.asking import HasRole
from constitutions_app.core import diff
from constitutions_app.core import principles as core


class SpanSerializer(serializers.Serializer[Any]):
    """A piece of text that stayed, came or went."""

    kind = serializers.ChoiceField(choices=["same", "added", "removed"])
    text = serializers.CharField()


class FieldChangeSerializer(serializers.Serializer[Any]):
    """One field that differs; `spans` is empty for fields that are not text."""

    name = serializers.CharField()
    old = serializers.SerializerMethodField()
    new = serializers.SerializerMethodField()
    spans = SpanSerializer(many=True)

    @extend_schema_field(OpenApiTypes.ANY)
    def get_old(self, change: diff.FieldChange) -> Any:
        return _plain(change.old)

    @extend_schema_field(OpenApiTypes.ANY)
    def get_new(self, change: diff.FieldChange) -> Any:
        return _plain(change.new)


class PrincipleChangeSerializer(serializers.Serializer[Any]):
    """What happened to one principle. Positions count from 1 and are null on the side that lacks it."""

    id = serializers.CharField(source="item.id")
    title = serializers.CharField(source="item.title")
    kind = serializers.ChoiceField(choices=["added", "removed", "edited", "moved", "reweighted"])
    moved = serializers.BooleanField()
    old_position = serializers.SerializerMethodField()
    new_position = serializers.SerializerMethodField()
    fields_changed = FieldChangeSerializer(many=True, source="fields")

    def get_old_position(self, change: diff.PrincipleChange) -> int | None:
        return None if change.old_position is None else change.old_position + 1

    def get_new_position(self, change: diff.PrincipleChange) -> int | None:
        return None if change.new_position is None else change.new_position + 1


class ExemplarChangeSerializer(serializers.Serializer[Any]):
    """What happened to one exemplar. Positions count from 1."""

    kind = serializers.ChoiceField(choices=["added", "removed", "edited", "moved"])
    old_position = serializers.SerializerMethodField()
    new_position = serializers.SerializerMethodField()
    fields_changed = FieldChangeSerializer(many=True, source="fields")

    def get_old_position(self, change: diff.ExemplarChange) -> int | None:
        return None if change.old_position is None else change.old_position + 1

    def get_new_position(self, change: diff.ExemplarChange) -> int | None:
        return None if change.new_position is None else change.new_position + 1


class DifferenceSerializer(serializers.Serializer[Any]):
    """Everything that differs between two states; what stayed the same is left out."""

    summary = serializers.CharField()
    count = serializers.IntegerField()
    name = FieldChangeSerializer(allow_null=True)
    preamble = FieldChangeSerializer(allow_null=True)
    principles = PrincipleChangeSerializer(many=True, source="changed_principles")
    exemplars = ExemplarChangeSerializer(many=True, source="changed_exemplars")


class Compare(APIView):
    """What changed from one state of a constitution to another."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, *STATES], responses=DifferenceSerializer, operation_id="compare")
    def get(self, request: Request, slug: str, old: str, new: str) -> Response:
        left, right = (get_state_for(request.user, slug, ref).to_core() for ref in (old, new))
        return Response(DifferenceSerializer(diff.diff_constitutions(left, right)).data)


def _plain(value: Any) -> Any:
    """A field's value as JSON holds it."""
    return vars(value) if isinstance(value, core.Source) else value
