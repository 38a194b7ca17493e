"""What is done with a released checkpoint: verifying, signing, handing on to a hub, and what came of it."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, person_of
from training_app import access
from training_app.actions import cancel_push, cancel_signature, push_checkpoint, sign_checkpoint
from training_app.api.reading import Filters, Reading
from training_app.api.refusing import refusals_told
from training_app.core.hub import LONGEST_NAME
from training_app.models import CheckpointSignature, HubCopy
from training_app.verification import verification_of


class SignatureSerializer(serializers.ModelSerializer[CheckpointSignature]):
    """A signature: `bundle` is the text of model.sig, `digest` its sha256, `fingerprint` that of the public key."""

    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = CheckpointSignature
        fields = (
            "id", "checkpoint", "fingerprint", "public_key", "bundle", "digest", "state", "reason", "advice",
            "created_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class HubCopySerializer(serializers.ModelSerializer[HubCopy]):
    """A checkpoint handed on: `address` is where it stands on the hub, pinned to its commit."""

    created_by = serializers.CharField(source="created_by.username", read_only=True)
    address = serializers.CharField(read_only=True)

    class Meta:
        model = HubCopy
        fields = (
            "id", "checkpoint", "repository", "endpoint", "is_private", "commit", "address", "state", "reason",
            "advice", "done", "total", "eta_s", "created_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class HandingOnSerializer(serializers.Serializer[Any]):
    """Where to: ORG/NAME on the hub of this installation; empty for the folder alone."""

    repository = serializers.CharField(max_length=LONGEST_NAME, required=False, allow_blank=True, default="")
    is_private = serializers.BooleanField(required=False, default=True, help_text="Where the repository is new.")


class ProblemSerializer(serializers.Serializer[Any]):
    """A file, and what is wrong with it."""

    file = serializers.CharField()
    sentence = serializers.CharField()


class VerifiedSerializer(serializers.Serializer[Any]):
    """What recomputing every digest found."""

    ok = serializers.BooleanField()
    checked: Any = serializers.ListField(child=serializers.CharField(), help_text="What holds, a sentence each.")
    problems = ProblemSerializer(many=True)


class OfCheckpointFilter(Filters):
    checkpoint = filters.NumberFilter(field_name="checkpoint_id")
    state = filters.ChoiceFilter(choices=HubCopy.State.choices)


class Signatures(Reading[CheckpointSignature]):
    """Signatures of checkpoints, made and asked for, newest first. The newest that succeeded counts."""

    queryset = CheckpointSignature.objects.select_related("created_by")
    serializer_class = SignatureSerializer
    filterset_class = OfCheckpointFilter
    cursor_ordering = "-created_at"

    @extend_schema(
        request=None, responses={200: SignatureSerializer, 409: RefusalSerializer}, summary="Cancel a signature"
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        asked = access.get_signature_to_cancel_for(request.user, self.get_object().pk)
        with refusals_told():
            after = cancel_signature(user=person_of(request), signature=asked)
        return Response(self.get_serializer(after).data)


class HubCopies(Reading[HubCopy]):
    """Where checkpoints were handed on to, newest first."""

    queryset = HubCopy.objects.select_related("created_by")
    serializer_class = HubCopySerializer
    filterset_class = OfCheckpointFilter
    cursor_ordering = "-created_at"

    @extend_schema(
        request=None, responses={200: HubCopySerializer, 409: RefusalSerializer}, summary="Cancel a handing-on"
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        asked = access.get_hub_copy_to_cancel_for(request.user, self.get_object().pk)
        with refusals_told():
            after = cancel_push(user=person_of(request), copy=asked)
        return Response(self.get_serializer(after).data)


class SignCheckpoint(APIView):
    """Has a worker sign a checkpoint with the key of this installation."""

    permission_classes = [HasRole]

    @extend_schema(
        request=None,
        responses={202: SignatureSerializer, 409: RefusalSerializer},
        operation_id="checkpoints_sign",
        summary="Have a checkpoint signed",
    )
    def post(self, request: Request, pk: int) -> Response:
        read = access.get_checkpoint_to_promote_for(request.user, pk)
        with refusals_told():
            asked = sign_checkpoint(user=person_of(request), checkpoint=read)
        return Response(SignatureSerializer(asked).data, status=status.HTTP_202_ACCEPTED)


class PushCheckpoint(APIView):
    """Has a worker write a checkpoint as a hub keeps models, and push it where a repository is named."""

    permission_classes = [HasRole]

    @extend_schema(
        request=HandingOnSerializer,
        responses={202: HubCopySerializer, 409: RefusalSerializer},
        operation_id="checkpoints_push",
        summary="Hand a checkpoint on",
    )
    def post(self, request: Request, pk: int) -> Response:
        read = access.get_checkpoint_to_promote_for(request.user, pk)
        wanted = checked(HandingOnSerializer(data=request.data))
        with refusals_told():
            asked = push_checkpoint(user=person_of(request), checkpoint=read, **wanted)
        return Response(HubCopySerializer(asked).data, status=status.HTTP_202_ACCEPTED)


class VerifyCheckpoint(APIView):
    """Recomputes every digest of a checkpoint's files and holds manifest and signature against the database."""

    permission_classes = [HasRole]

    @extend_schema(
        request=None, responses=VerifiedSerializer, operation_id="checkpoints_verify", summary="Verify a checkpoint"
    )
    def post(self, request: Request, pk: int) -> Response:
        found = verification_of(access.get_checkpoint_for(request.user, pk))
        return Response(VerifiedSerializer(found).data)
