"""The way of a checkpoint into use: what production asks for, who signed off, and which one an alias points at."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.access import Role, get_constitution_for
from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, person_of
from training_app import access
from training_app.actions import change_release_rules, promote_checkpoint, sign_off, withdraw_alias
from training_app.actions.release import LONGEST_NOTE
from training_app.api.reading import Filters, Reading
from training_app.api.refusing import refusals_told
from training_app.models import CheckpointAlias, ReleaseRules, SignOff
from training_app.releases import SIGNER_CHOICES, release_of, required_roles


class SignOffSerializer(serializers.ModelSerializer[SignOff]):
    person = serializers.CharField(source="person.username", read_only=True)

    class Meta:
        model = SignOff
        fields = ("id", "checkpoint", "role", "word", "note", "person", "created_at")
        read_only_fields = fields


class SigningSerializer(serializers.Serializer[Any]):
    """What you say of a checkpoint, in a role of yours. A refusal needs a note."""

    role = serializers.ChoiceField(choices=SIGNER_CHOICES)
    word = serializers.ChoiceField(choices=SignOff.Word.choices)
    note = serializers.CharField(max_length=LONGEST_NOTE, required=False, allow_blank=True, default="")


class CheckpointAliasSerializer(serializers.ModelSerializer[CheckpointAlias]):
    constitution = serializers.CharField(source="constitution.slug", read_only=True)
    moved_by = serializers.CharField(source="moved_by.username", read_only=True)

    class Meta:
        model = CheckpointAlias
        fields = ("id", "constitution", "name", "checkpoint", "moved_by", "moved_at")
        read_only_fields = fields


class PointingSerializer(serializers.Serializer[Any]):
    """Which alias is to point at the checkpoint; with `withdraw`, which is to point at nothing."""

    name = serializers.ChoiceField(choices=CheckpointAlias.Name.choices)
    withdraw = serializers.BooleanField(required=False, default=False)


class ReleaseSerializer(serializers.Serializer[Any]):
    """The release review of one checkpoint."""

    aliases = CheckpointAliasSerializer(many=True)
    required: Any = serializers.ListField(child=serializers.ChoiceField(choices=SIGNER_CHOICES))
    counting = SignOffSerializer(many=True, help_text="The newest sign-off of each role.")
    all_sign_offs = SignOffSerializer(many=True)
    missing: Any = serializers.ListField(
        child=serializers.CharField(), help_text="Why it cannot become production yet, a sentence each."
    )
    is_complete = serializers.BooleanField()


class ReleaseRulesSerializer(serializers.ModelSerializer[ReleaseRules]):
    constitution = serializers.CharField(source="constitution.slug", read_only=True)
    updated_by = serializers.CharField(source="updated_by.username", read_only=True)

    class Meta:
        model = ReleaseRules
        fields = ("id", "constitution", "roles", "updated_by", "updated_at")
        read_only_fields = fields


class RolesSerializer(serializers.Serializer[Any]):
    """The roles that must sign off before a checkpoint of the constitution becomes production."""

    roles = serializers.MultipleChoiceField(choices=SIGNER_CHOICES, allow_empty=True)


class SignOffFilter(Filters):
    checkpoint = filters.NumberFilter(field_name="checkpoint_id")
    role = filters.ChoiceFilter(choices=Role.choices)
    word = filters.ChoiceFilter(choices=SignOff.Word.choices)


class CheckpointAliasFilter(Filters):
    constitution = filters.CharFilter(field_name="constitution__slug")
    name = filters.ChoiceFilter(choices=CheckpointAlias.Name.choices)
    checkpoint = filters.NumberFilter(field_name="checkpoint_id")


class SignOffs(Reading[SignOff]):
    """Who said what of which checkpoint; they never change, and the newest of a role counts."""

    queryset = SignOff.objects.select_related("person")
    serializer_class = SignOffSerializer
    filterset_class = SignOffFilter


class CheckpointAliases(Reading[CheckpointAlias]):
    """What "candidate" and "production" of every constitution point at."""

    queryset = CheckpointAlias.objects.select_related("constitution", "moved_by")
    serializer_class = CheckpointAliasSerializer
    filterset_class = CheckpointAliasFilter


class AllReleaseRules(Reading[ReleaseRules]):
    """Which roles must sign off, by constitution; where there is no row, none must."""

    queryset = ReleaseRules.objects.select_related("constitution", "updated_by")
    serializer_class = ReleaseRulesSerializer


class OneRelease(APIView):
    """The release review of one checkpoint; POST signs it off, or refuses it."""

    permission_classes = [HasRole]

    @extend_schema(responses=ReleaseSerializer, operation_id="checkpoints_release", summary="A release review")
    def get(self, request: Request, pk: int) -> Response:
        return Response(ReleaseSerializer(release_of(access.get_checkpoint_for(request.user, pk))).data)

    @extend_schema(
        request=SigningSerializer,
        responses={201: SignOffSerializer, 409: RefusalSerializer},
        operation_id="checkpoints_sign_off",
        summary="Sign a checkpoint off, or refuse it",
    )
    def post(self, request: Request, pk: int) -> Response:
        read = access.get_checkpoint_for(request.user, pk)
        said = checked(SigningSerializer(data=request.data))
        with refusals_told():
            signed = sign_off(user=person_of(request), checkpoint=read, **said)
        return Response(SignOffSerializer(signed).data, status=status.HTTP_201_CREATED)


class PointAlias(APIView):
    """Points "candidate" or "production" at a checkpoint, or takes it away."""

    permission_classes = [HasRole]

    @extend_schema(
        request=PointingSerializer,
        responses={200: ReleaseSerializer, 409: RefusalSerializer},
        operation_id="checkpoints_alias",
        summary="Move an alias of checkpoints",
    )
    def post(self, request: Request, pk: int) -> Response:
        read = access.get_checkpoint_to_promote_for(request.user, pk)
        wanted = checked(PointingSerializer(data=request.data))
        move = withdraw_alias if wanted["withdraw"] else promote_checkpoint
        with refusals_told():
            move(user=person_of(request), checkpoint=read, name=wanted["name"])
        return Response(ReleaseSerializer(release_of(read)).data)


class OneReleaseRules(APIView):
    """The roles that must sign off before a checkpoint of this constitution becomes production; PUT sets them."""

    permission_classes = [HasRole]

    @extend_schema(responses=RolesSerializer, operation_id="release_rules_of", summary="The rules of release")
    def get(self, request: Request, slug: str) -> Response:
        constitution = get_constitution_for(request.user, slug)
        return Response({"roles": [role.value for role in required_roles(constitution)]})

    @extend_schema(
        request=RolesSerializer,
        responses={200: RolesSerializer, 409: RefusalSerializer},
        operation_id="release_rules_change",
        summary="Change the rules of release",
    )
    def put(self, request: Request, slug: str) -> Response:
        constitution = get_constitution_for(request.user, slug)
        access.require_release_rules(request.user)
        wanted = checked(RolesSerializer(data=request.data))
        with refusals_told():
            change_release_rules(user=person_of(request), constitution=constitution, roles=wanted["roles"])
        return self.get(request, slug)
