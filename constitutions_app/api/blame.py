"""Who wrote which words of a principle."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.access import get_state_for
from constitutions_app.api.addresses import KEY, SLUG, STATES
from constitutions_app.api.asking import HasRole, RefusalSerializer
from constitutions_app.histories import PrincipleHistory, history_of


class WordsSerializer(serializers.Serializer[Any]):
    """Neighbouring words that came in together."""

    text = serializers.CharField()
    came_in_with = serializers.CharField(source="label")
    person = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


class MomentSerializer(serializers.Serializer[Any]):
    """A version in which the principle came, changed or went; null is the draft."""

    version = serializers.IntegerField(source="version.number", allow_null=True, default=None)
    constitution = serializers.CharField(source="version.constitution.slug", allow_null=True, default=None)
    kind = serializers.ChoiceField(choices=["added", "edited", "merged", "removed"])
    change = serializers.CharField()
    note = serializers.CharField(source="version.note", allow_null=True, default=None)
    typed_by = serializers.ListField(child=serializers.CharField())
    approved_by = serializers.ListField(child=serializers.CharField())


class BlameSerializer(serializers.Serializer[Any]):
    """The words of each field with their origin, and the moments, newest first."""

    words = serializers.SerializerMethodField()
    moments = MomentSerializer(many=True)

    @extend_schema_field(serializers.DictField(child=WordsSerializer(many=True)))
    def get_words(self, history: PrincipleHistory) -> Any:
        return {name: WordsSerializer(words, many=True).data for name, words in history.fields}


class Blame(APIView):
    """Who wrote which words of a principle, and the moments in which it changed."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[SLUG, STATES[1], KEY],
        responses={200: BlameSerializer, 404: RefusalSerializer},
        operation_id="blame",
    )
    def get(self, request: Request, slug: str, new: str, key: str) -> Response:
        try:
            history = history_of(get_state_for(request.user, slug, new), key)
        except KeyError as error:
            raise Http404("There is no such principle in this state.") from error
        return Response(BlameSerializer(history).data)
