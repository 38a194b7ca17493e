"""Files of what was judged: asked for, looked at, downloaded. Everybody has their own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import django_filters as filters
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from constitutions_app.api.asking import RefusalSerializer, checked, person_of
from training_app import access
from training_app.actions import cancel_export, export_items, export_run
from training_app.api.exploring import question_of
from training_app.api.reading import Filters, Reading
from training_app.api.refusing import refusals_told
from training_app.export_jobs import NotTold, open_for
from training_app.models import Export
from training_app.views.export_rows import file_name
from training_app.views.sending import send_known_file


class ExportSerializer(serializers.ModelSerializer[Export]):
    """A file: `done` rows of about `total` are written; `digest` is the sha256 of the whole file."""

    class Meta:
        model = Export
        fields = (
            "id", "what", "form", "texts", "question", "run", "state", "reason", "advice", "done", "total", "eta_s",
            "bytes", "digest", "is_there", "expires_at", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class ExportWishSerializer(serializers.Serializer[Any]):
    """Items that fit a question as it stands in the explorer's address, or the labels or traces of a run."""

    what = serializers.ChoiceField(choices=Export.What.choices, default=Export.What.ITEMS)
    form = serializers.ChoiceField(choices=Export.Form.choices, default=Export.Form.JSONL)
    texts = serializers.ChoiceField(
        choices=Export.Texts.choices,
        default="",
        help_text="Of items: whether their texts stand beside them. Annotated pairs have at least those not veiled.",
    )
    question = serializers.CharField(max_length=2000, allow_blank=True, required=False, default="")
    run = serializers.UUIDField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["what"] == Export.What.ITEMS) == ("run" in attrs):
            raise ValidationError({"run": ["Name the run of labels or traces, and none for items of the explorer."]})
        if attrs["texts"] and "run" in attrs:
            raise ValidationError({"texts": ["The files of a run have all their texts; leave this out."]})
        return attrs


class ExportFilter(Filters):
    state = filters.ChoiceFilter(choices=Export.State.choices)
    run = filters.UUIDFilter(field_name="run_id")


class Exports(Reading[Export]):
    """Your own exports, newest first. POST asks for one; a worker writes it."""

    queryset = Export.objects.all()
    serializer_class = ExportSerializer
    filterset_class = ExportFilter
    cursor_ordering = "-created_at"

    def get_queryset(self) -> QuerySet[Export]:
        request: Request | None = self.request  # none where the schema is written
        return access.exports_of(request.user) if request is not None else super().get_queryset()

    @extend_schema(
        request=ExportWishSerializer,
        responses={202: ExportSerializer, 409: RefusalSerializer},
        summary="Ask for an export",
    )
    def create(self, request: Request) -> Response:
        wanted = checked(ExportWishSerializer(data=request.data))
        with refusals_told():
            export = self._asked(request, wanted)
        return Response(self.get_serializer(export).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={200: ExportSerializer, 409: RefusalSerializer}, summary="Cancel an export")
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        with refusals_told():
            after = cancel_export(user=person_of(request), export=self.get_object())
        return Response(self.get_serializer(after).data)

    @extend_schema(
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "From a byte to the end."),
        },
        summary="Download the file of an export",
    )
    @action(detail=True, methods=["get"])
    def file(self, request: Request, pk: str) -> HttpResponse:
        """`Range: bytes=N-` with `If-Range` goes on where a download broke off."""
        export = self.get_object()
        try:
            file = open_for(person_of(request), export)
        except NotTold as reason:
            raise PermissionDenied(str(reason)) from reason
        return send_known_file(request._request, file, file_name(export), export.digest)

    def _asked(self, request: Request, wanted: dict[str, Any]) -> Export:
        if wanted["what"] == Export.What.ITEMS:
            asked = question_of(QueryDict(wanted["question"].lstrip("?")))
            return export_items(user=person_of(request), asked=asked, form=wanted["form"],
                                texts=wanted["texts"])  # fmt: skip
        run_id: UUID = wanted["run"]
        run = access.get_run_for(request.user, run_id)
        return export_run(user=person_of(request), run=run, what=wanted["what"], form=wanted["form"])
