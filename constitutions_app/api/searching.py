"""Search over everything people wrote."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.access import get_constitution_for
from constitutions_app.api.asking import HasRole
from constitutions_app.searching import LONGEST_QUESTION, PLACES, Hit, search


class HitSerializer(serializers.Serializer[Any]):
    """One hit. `parts` is the excerpt: pieces of plain text, and whether each is a found word."""

    place = serializers.CharField()
    constitution = serializers.CharField()
    title = serializers.CharField()
    url = serializers.CharField()
    rank = serializers.FloatField()
    at = serializers.DateTimeField()
    parts = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_parts(self, hit: Hit) -> list[dict[str, object]]:
        return [{"text": text, "found": found} for text, found in hit.parts]


class Search(APIView):
    """The best hits in principles, rationale, preambles, change notes, threads and scenarios."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="Words, a quoted phrase, or, -not."),
            OpenApiParameter("constitution", OpenApiTypes.STR, description="Only in this one, by its address."),
            OpenApiParameter("where", OpenApiTypes.STR, enum=list(PLACES)),
        ],
        responses=HitSerializer(many=True),
        operation_id="search",
    )
    def get(self, request: Request) -> Response:
        slug = request.query_params.get("constitution", "")
        inside = get_constitution_for(request.user, slug) if slug else None
        question = request.query_params.get("q", "")[:LONGEST_QUESTION]
        return Response(HitSerializer(search(question, inside, request.query_params.get("where", "")), many=True).data)
