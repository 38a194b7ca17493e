"""Suggested words: applying them with credit, or declining them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import can_discuss, get_editable_draft_for, get_suggestion_for
from constitutions_app.actions.drafting import MAX_TEXT
from constitutions_app.api.addresses import PLACE, ROW
from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.api.threads import SuggestionSerializer


class ApplySerializer(serializers.Serializer[Any]):
    """Nothing: apply as suggested. `words` and `seen`: apply these words if the place still reads `seen`."""

    words = serializers.CharField(max_length=MAX_TEXT, allow_blank=True, allow_null=True, default=None)
    seen = serializers.CharField(max_length=MAX_TEXT, allow_blank=True, allow_null=True, default=None)


class ClashSerializer(serializers.Serializer[Any]):
    """Why a suggestion was not applied: its words as they were, as they are ("" when gone), and as suggested."""

    detail = serializers.CharField()
    original = serializers.CharField()
    now = serializers.CharField()
    suggested = serializers.CharField()


class Apply(APIView):
    """Puts suggested words into the draft, with credit; 409 with all three states when its words changed meanwhile."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[PLACE, ROW],
        request=ApplySerializer,
        responses={200: SuggestionSerializer, 409: ClashSerializer},
        operation_id="apply_suggestion",
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        get_editable_draft_for(request.user, slug)
        suggestion = get_suggestion_for(request.user, slug, pk)
        asked = checked(ApplySerializer(data=request.data))
        try:
            with conflicts_told():
                done = actions.apply_suggestion(user=person_of(request), suggestion=suggestion, **asked)
        except actions.WordsChanged as clash:
            now = "" if clash.standing.lost else clash.standing.quote
            states = {"original": suggestion.original, "now": now, "suggested": suggestion.replacement}
            return Response({"detail": str(clash), **states}, status=status.HTTP_409_CONFLICT)
        return Response(SuggestionSerializer(done).data)


class Decline(APIView):
    """Says that suggested words are not wanted: writers, and whoever suggested them."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[PLACE, ROW],
        request=None,
        responses={200: SuggestionSerializer, 409: RefusalSerializer},
        operation_id="decline_suggestion",
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        suggestion = get_suggestion_for(request.user, slug, pk)
        if suggestion.comment.author_id != person_of(request).pk or not can_discuss(request.user):
            get_editable_draft_for(request.user, slug)
        with conflicts_told():
            actions.decline_suggestion(user=person_of(request), suggestion=suggestion)
        suggestion.refresh_from_db()
        return Response(SuggestionSerializer(suggestion).data)
