"""Files of other formats, read into a preview or into a new constitution."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import can_write
from constitutions_app.api.asking import Conflict, HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.core.interchange import FORMATS, read_bytes


class ImportSerializer(serializers.Serializer[Any]):
    """A file's text. Without `write` nothing is written and the preview alone comes back."""

    text = serializers.CharField(trim_whitespace=False)
    file_name = serializers.CharField(max_length=200, default="pasted text")
    format = serializers.ChoiceField(choices=list(FORMATS), required=False, allow_blank=True)
    linked_text = serializers.CharField(required=False, trim_whitespace=False)
    linked_file_name = serializers.CharField(max_length=200, default="linked text")
    examples = serializers.DictField(child=serializers.CharField(trim_whitespace=False), required=False)
    licence = serializers.CharField(max_length=200, required=False, allow_blank=True)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    write = serializers.BooleanField(default=False)


class PreviewSerializer(serializers.Serializer[Any]):
    """What was understood and what was not; `written` is the new constitution's address, or null."""

    format = serializers.CharField()
    name = serializers.CharField()
    principles = serializers.ListField(child=serializers.DictField())
    scenarios = serializers.ListField(child=serializers.DictField())
    not_understood = serializers.ListField(child=serializers.DictField())
    digest = serializers.CharField()
    written = serializers.CharField(allow_null=True)


class ImportFile(APIView):
    """Reads a file of any known format; with `write` it becomes a new constitution."""

    permission_classes = [HasRole]

    @extend_schema(
        request=ImportSerializer,
        responses={200: PreviewSerializer, 201: PreviewSerializer, 409: RefusalSerializer},
        operation_id="import_constitution",
    )
    def post(self, request: Request) -> Response:
        if not can_write(request.user):
            raise PermissionDenied("Your role reads constitutions and does not import any.")
        said = checked(ImportSerializer(data=request.data))
        link = (said["linked_text"].encode(), said["linked_file_name"]) if said.get("linked_text") else None
        beside = {f"examples/{name}": text.encode() for name, text in said.get("examples", {}).items()}
        data = said["text"].encode()
        found = read_bytes(data, said["file_name"], said.get("format") or None, link, beside)
        if not said["write"]:
            return Response({**found.as_json(), "written": None})
        if found.is_empty:
            raise Conflict("Nothing of the file was understood, so nothing was written.")
        file = actions.ImportedFile(found, said["file_name"], data, said.get("licence", ""))
        with conflicts_told():
            made = actions.create_constitution(
                user=person_of(request),
                name=said.get("name") or found.constitution.name,
                description=f"Imported from {said['file_name']} ({found.format}).",
                start=found.constitution,
                file=file,
            )
        return Response({**found.as_json(), "written": made.slug}, status=status.HTTP_201_CREATED)
