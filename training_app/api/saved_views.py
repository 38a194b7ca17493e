"""Questions to the explorer that people keep under a name: one's own, and those that others share."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from constitutions_app.api.asking import checked, person_of
from training_app.actions import keep_view, remove_view
from training_app.api.exploring import question_of
from training_app.api.reading import Reading
from training_app.models import SavedView
from training_app.refusals import ViewRefused


class SavedViewSerializer(serializers.ModelSerializer[SavedView]):
    owner = serializers.CharField(source="owner.username", read_only=True)

    class Meta:
        model = SavedView
        fields = ("id", "name", "owner", "query", "shared", "created_at")
        read_only_fields = ("id", "owner", "created_at")


class KeepSerializer(serializers.Serializer[Any]):
    """A question as it stands in the explorer's address. A view of yours with the same name becomes this one."""

    name = serializers.CharField(max_length=100)
    query = serializers.CharField(max_length=2000, allow_blank=True)
    shared = serializers.BooleanField(required=False, default=False)


class SavedViews(Reading[SavedView]):
    """Your own views and shared ones. POST keeps one; whoever owns it removes it."""

    queryset = SavedView.objects.select_related("owner")
    serializer_class = SavedViewSerializer

    def get_queryset(self) -> QuerySet[SavedView]:
        request: Request | None = self.request  # none where the schema is written
        own = Q(owner=request.user.pk) if request is not None else Q()
        return super().get_queryset().filter(own | Q(shared=True))

    @extend_schema(request=KeepSerializer, responses={201: SavedViewSerializer}, summary="Keep a view")
    def create(self, request: Request) -> Response:
        wanted = checked(KeepSerializer(data=request.data))
        asked = question_of(QueryDict(wanted.pop("query").lstrip("?")))
        try:
            view = keep_view(user=person_of(request), asked=asked, **wanted)
        except ViewRefused as refusal:
            raise ValidationError({"name": [str(refusal)]}) from refusal
        return Response(self.get_serializer(view).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None}, summary="Remove a view of yours")
    def destroy(self, request: Request, pk: str) -> Response:
        view = get_object_or_404(self.get_queryset(), pk=self.get_object().pk, owner=person_of(request))
        remove_view(user=person_of(request), view=view)
        return Response(status=status.HTTP_204_NO_CONTENT)
