"""Versions, their principles, and the aliases that point to them. Nothing here changes a version."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import get_constitution_for, get_principle_for, get_version_for, require_writer
from constitutions_app.api.addresses import NUMBER, SLUG
from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.core import principles as core
from constitutions_app.core.wordings import wordings_for
from constitutions_app.ledger import name_of
from constitutions_app.lineages import latest_of
from constitutions_app.models import Constitution, PrincipleVersion, Version


class VersionSerializer(serializers.ModelSerializer[Version]):
    """A version without its text, for lists."""

    constitution = serializers.SlugRelatedField[Constitution](slug_field="slug", read_only=True)
    author = serializers.SerializerMethodField()
    parent_number = serializers.IntegerField(source="parent.number", read_only=True, allow_null=True)
    second_parent = serializers.SerializerMethodField()

    class Meta:
        model = Version
        fields: tuple[str, ...] = (
            "constitution",
            "number",
            "digest",
            "branch",
            "parent_number",
            "second_parent",
            "author",
            "note",
            "created_at",
        )
        read_only_fields = fields

    def get_author(self, version: Version) -> str:
        return name_of(version.author)

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_second_parent(self, version: Version) -> str | None:
        """The version that was merged, as "slug@number"."""
        merged = version.second_parent
        return f"{merged.constitution.slug}@{merged.number}" if merged else None


class WordingsSerializer(serializers.Serializer[Any]):
    """The three texts a model is sent, derived ones included."""

    critique_request = serializers.CharField()
    revision_request = serializers.CharField()
    comparison_question = serializers.CharField()


class PrincipleSerializer(serializers.ModelSerializer[PrincipleVersion]):
    """One principle of a version: its part of the canonical JSON, and what is sent for it."""

    wordings = serializers.SerializerMethodField()
    body = serializers.JSONField(read_only=True)

    class Meta:
        model = PrincipleVersion
        fields = ("key", "position", "title", "text", "body", "change", "since", "wordings")
        read_only_fields = fields

    @extend_schema_field(WordingsSerializer)
    def get_wordings(self, row: PrincipleVersion) -> Any:
        item = core.from_dict({"name": "one principle", "principles": [row.body]}).principles[0]
        return WordingsSerializer(wordings_for(item)).data


class WholeVersionSerializer(VersionSerializer):
    """A version with its canonical text, whose sha256 is the digest, and its principles."""

    principles = PrincipleSerializer(many=True, read_only=True)

    class Meta(VersionSerializer.Meta):
        fields = (*VersionSerializer.Meta.fields, "canonical", "principles")
        read_only_fields = fields


class AliasSerializer(serializers.Serializer[Any]):
    """A name and the number of the version it points to; null takes the alias away."""

    name = serializers.CharField(max_length=40)
    version = serializers.IntegerField(min_value=1, max_value=999_999_999, allow_null=True)


@extend_schema(parameters=[SLUG])
class Versions(mixins.ListModelMixin, viewsets.GenericViewSet[Version]):
    """The versions of a constitution, newest first."""

    queryset = Version.objects.none()
    serializer_class = VersionSerializer
    permission_classes = [HasRole]
    cursor_ordering = "-number"

    def get_queryset(self) -> QuerySet[Version]:
        if getattr(self, "swagger_fake_view", False):
            return Version.objects.none()
        constitution = get_constitution_for(self.request.user, self.kwargs["slug"])
        return constitution.versions.select_related(
            "constitution", "author", "parent", "second_parent__constitution"
        ).defer("canonical", "parent__canonical", "second_parent__canonical")


class OneVersion(APIView):
    """One version, whole."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, NUMBER], responses=WholeVersionSerializer, operation_id="version")
    def get(self, request: Request, slug: str, number: int) -> Response:
        return Response(WholeVersionSerializer(get_version_for(request.user, slug, number)).data)


class OnePrinciple(APIView):
    """One principle at one version: what a label or a step cites."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, NUMBER], responses=PrincipleSerializer, operation_id="principle")
    def get(self, request: Request, slug: str, number: int, key: str) -> Response:
        return Response(PrincipleSerializer(get_principle_for(request.user, slug, number, key)).data)


class Aliases(APIView):
    """The aliases of a constitution, "latest" among them; posting moves one, or takes it away with a null version."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG], responses=AliasSerializer(many=True), operation_id="aliases")
    def get(self, request: Request, slug: str) -> Response:
        return Response(_aliases_of(get_constitution_for(request.user, slug)))

    @extend_schema(
        parameters=[SLUG],
        request=AliasSerializer,
        responses={200: AliasSerializer(many=True), 409: RefusalSerializer},
        operation_id="move_alias",
    )
    def post(self, request: Request, slug: str) -> Response:
        constitution = get_constitution_for(request.user, slug)
        require_writer(request.user)
        asked = checked(AliasSerializer(data=request.data))
        number = asked["version"]
        version = get_version_for(request.user, slug, number) if number else None
        with conflicts_told():
            actions.move_alias(user=person_of(request), constitution=constitution, name=asked["name"], version=version)
        return Response(_aliases_of(constitution))


def _aliases_of(constitution: Constitution) -> Any:
    latest = latest_of(constitution)
    rows = constitution.aliases.values_list("name", "version__number")
    found = [("latest", latest.number)] if latest else []
    return [{"name": name, "version": number} for name, number in [*found, *rows]]
