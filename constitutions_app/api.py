"""The API of constitutions, versions and the ledger: reading is broad, the one thing written goes through its verb.

Everybody with a role reads. Objects have the addresses people know from the pages: a slug and a number, never a row id.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import django_filters
from django.contrib.auth.models import User
from django.db.models import Max, QuerySet
from django.http import Http404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from constitutions_app import actions, converters
from constitutions_app.access import (
    get_constitution_for,
    get_draft_for,
    get_editable_draft_for,
    get_principle_for,
    get_state_for,
    get_version_for,
    has_role,
    require_writer,
)
from constitutions_app.core import diff, merge
from constitutions_app.core import principles as core
from constitutions_app.core.wordings import wordings_for
from constitutions_app.histories import PrincipleHistory, history_of
from constitutions_app.ledger import name_of
from constitutions_app.lineages import latest_of, sides_of
from constitutions_app.models import Constitution, Draft, LedgerEntry, PrincipleVersion, Version

SLUG = OpenApiParameter("slug", OpenApiTypes.STR, OpenApiParameter.PATH, description="The constitution's address.")
NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH, description="The version's number.")
KEY = OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH, description="The principle's stable id.")
MERGED = OpenApiParameter(
    "merged", OpenApiTypes.STR, OpenApiParameter.PATH, description='"v3", or "other-constitution:v3".'
)
STATES = [
    OpenApiParameter(
        name,
        OpenApiTypes.STR,
        OpenApiParameter.PATH,
        description='"v3", "draft", "draft@branch", or "other-constitution:v3".',
    )
    for name in ("old", "new")
]


class HasRole(BasePermission):
    """Signed in, and with any role."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_role(request.user)


class ConstitutionSerializer(serializers.ModelSerializer[Constitution]):
    """A constitution, with the number of its newest version (null before the first) and its draft's revision."""

    created_by = serializers.SerializerMethodField()
    newest_version = serializers.IntegerField(allow_null=True, read_only=True)
    draft_revision = serializers.IntegerField(source="draft.revision", read_only=True)
    draft_updated_at = serializers.DateTimeField(source="draft.updated_at", read_only=True)

    class Meta:
        model = Constitution
        fields = (
            "slug",
            "name",
            "description",
            "created_by",
            "created_at",
            "newest_version",
            "draft_revision",
            "draft_updated_at",
        )
        read_only_fields = fields

    def get_created_by(self, constitution: Constitution) -> str:
        return name_of(constitution.created_by)


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


class DraftSerializer(serializers.Serializer[Any]):
    """A draft as it stands: what its digest would be if it were published now, and its canonical JSON."""

    revision = serializers.IntegerField()
    branch = serializers.CharField()
    base = serializers.IntegerField(allow_null=True)
    merging = serializers.CharField(allow_null=True)
    digest = serializers.CharField()
    canonical = serializers.CharField()
    updated_at = serializers.DateTimeField()
    updated_by = serializers.CharField()


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


class PublishSerializer(serializers.Serializer[Any]):
    """The change note, and the draft's revision that was read."""

    note = serializers.CharField(max_length=2000, allow_blank=True)
    revision = serializers.IntegerField(min_value=0)


class BranchSerializer(serializers.Serializer[Any]):
    """A branch: its name, the address of its draft, the version it goes on from, and whether it is closed."""

    branch = serializers.CharField()
    address = serializers.CharField()
    base = serializers.IntegerField(source="base.number", allow_null=True, default=None)
    closed_at = serializers.DateTimeField(allow_null=True)
    revision = serializers.IntegerField()


class StartBranchSerializer(serializers.Serializer[Any]):
    """The name of a new branch and the number of the version it begins with."""

    name = serializers.CharField(max_length=60)
    version = serializers.IntegerField(min_value=1, max_value=999_999_999)


class ConflictSerializer(serializers.Serializer[Any]):
    """Something both sides changed in different ways; null is a side that removed it."""

    key = serializers.CharField()
    kind = serializers.ChoiceField(choices=["words", "value", "edited_or_removed"])
    principle = serializers.CharField()
    field = serializers.CharField()
    base = serializers.SerializerMethodField()
    ours = serializers.SerializerMethodField()
    theirs = serializers.SerializerMethodField()

    @extend_schema_field(OpenApiTypes.ANY)
    def get_base(self, conflict: merge.Conflict) -> Any:
        return _side(conflict.base)

    @extend_schema_field(OpenApiTypes.ANY)
    def get_ours(self, conflict: merge.Conflict) -> Any:
        return _side(conflict.ours)

    @extend_schema_field(OpenApiTypes.ANY)
    def get_theirs(self, conflict: merge.Conflict) -> Any:
        return _side(conflict.theirs)


class MergeSerializer(serializers.Serializer[Any]):
    """What a merge would do. Send `revision` back with the choices."""

    revision = serializers.IntegerField()
    ancestor = serializers.CharField(allow_null=True)
    already_merged = serializers.BooleanField()
    summary = serializers.CharField()
    conflicts = ConflictSerializer(many=True)


class ChoicesSerializer(serializers.Serializer[Any]):
    """A choice for each conflict by its key, or own words in its place."""

    revision = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    choices = serializers.DictField(
        child=serializers.ChoiceField(choices=["ours", "theirs", "base", "both"]), default=dict
    )
    written = serializers.DictField(child=serializers.CharField(allow_blank=True, max_length=20_000), default=dict)


class AliasSerializer(serializers.Serializer[Any]):
    """A name and the number of the version it points to; null takes the alias away."""

    name = serializers.CharField(max_length=40)
    version = serializers.IntegerField(min_value=1, max_value=999_999_999, allow_null=True)


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


class RefusalSerializer(serializers.Serializer[Any]):
    """Why nothing was done."""

    detail = serializers.CharField()


class LedgerEntrySerializer(serializers.ModelSerializer[LedgerEntry]):
    """One entry. sha256(previous_hash + body) is its hash; `body` is given as the exact text that was hashed."""

    class Meta:
        model = LedgerEntry
        fields = (
            "seq",
            "at",
            "actor_name",
            "verb",
            "object_type",
            "object_id",
            "object_label",
            "body",
            "previous_hash",
            "hash",
        )
        read_only_fields = fields


class LedgerFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library has no types
    """What the ledger can be asked for; other keys are ignored and never reach the ORM."""

    object_type = django_filters.CharFilter()
    object_id = django_filters.CharFilter()
    verb = django_filters.CharFilter()

    class Meta:
        model = LedgerEntry
        fields = ("object_type", "object_id", "verb")


class Constitutions(mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[Constitution]):
    """Constitutions, newest first."""

    queryset = (
        Constitution.objects.with_draft().select_related("created_by").annotate(newest_version=Max("versions__number"))
    )
    serializer_class = ConstitutionSerializer
    permission_classes = [HasRole]
    lookup_field = "slug"


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


class OneDraft(APIView):
    """The draft as it stands."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG], responses=DraftSerializer, operation_id="draft")
    def get(self, request: Request, slug: str) -> Response:
        return Response(_draft_body(get_draft_for(request.user, slug)))


class Publish(APIView):
    """Freezes the draft as the next version, as the page does."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[SLUG],
        request=PublishSerializer,
        responses={201: VersionSerializer, 409: RefusalSerializer},
        operation_id="publish",
    )
    def post(self, request: Request, slug: str) -> Response:
        draft = get_editable_draft_for(request.user, slug)
        asked = PublishSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            version = actions.publish_version(
                user=_person(request),
                draft=draft,
                note=asked.validated_data["note"],
                expected=asked.validated_data["revision"],
            )
        except actions.PublishRefused as refused:
            return Response({"detail": str(refused)}, status=status.HTTP_409_CONFLICT)
        return Response(VersionSerializer(version).data, status=status.HTTP_201_CREATED)


class Branches(APIView):
    """The branches of a constitution; posting starts one from a version."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG], responses=BranchSerializer(many=True), operation_id="branches")
    def get(self, request: Request, slug: str) -> Response:
        drafts = get_constitution_for(request.user, slug).drafts.select_related("base", "constitution")
        return Response(BranchSerializer(drafts.order_by("pk"), many=True).data)

    @extend_schema(
        parameters=[SLUG],
        request=StartBranchSerializer,
        responses={201: BranchSerializer, 409: RefusalSerializer},
        operation_id="start_branch",
    )
    def post(self, request: Request, slug: str) -> Response:
        constitution = get_constitution_for(request.user, slug)
        require_writer(request.user)
        asked = StartBranchSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        version = get_version_for(request.user, constitution.slug, asked.validated_data["version"])
        try:
            draft = actions.start_branch(user=_person(request), version=version, name=asked.validated_data["name"])
        except actions.Refused as refused:
            return Response({"detail": str(refused)}, status=status.HTTP_409_CONFLICT)
        return Response(BranchSerializer(draft).data, status=status.HTTP_201_CREATED)


class MergeInto(APIView):
    """What merging a version into a draft would do; posting does it, with a choice for every conflict."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, MERGED], responses=MergeSerializer, operation_id="merge_preview")
    def get(self, request: Request, slug: str, merged: str) -> Response:
        draft = get_draft_for(request.user, slug)
        version = get_state_for(request.user, draft.constitution.slug, merged)
        sides = sides_of(draft, _version(version))
        found = merge.merge(sides.base, sides.ours, sides.theirs)
        return Response(
            {
                "revision": draft.revision,
                "ancestor": str(sides.ancestor) if sides.ancestor else None,
                "already_merged": sides.already_merged,
                "summary": diff.diff_constitutions(sides.ours, found.constitution).summary,
                "conflicts": ConflictSerializer(found.conflicts, many=True).data,
            }
        )

    @extend_schema(
        parameters=[SLUG, MERGED],
        request=ChoicesSerializer,
        responses={200: DraftSerializer, 409: RefusalSerializer},
        operation_id="merge",
    )
    def post(self, request: Request, slug: str, merged: str) -> Response:
        draft = get_editable_draft_for(request.user, slug)
        version = get_state_for(request.user, draft.constitution.slug, merged)
        asked = ChoicesSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        own = {key: merge.Written(text) for key, text in asked.validated_data["written"].items()}
        try:
            actions.merge_version(
                user=_person(request),
                draft=draft,
                version=_version(version),
                choices=asked.validated_data["choices"] | own,
                expected=asked.validated_data["revision"],
            )
        except actions.Refused as refused:
            return Response({"detail": str(refused)}, status=status.HTTP_409_CONFLICT)
        return Response(_draft_body(get_draft_for(request.user, slug)))


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
        asked = AliasSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        number = asked.validated_data["version"]
        version = get_version_for(request.user, slug, number) if number else None
        try:
            actions.move_alias(
                user=_person(request), constitution=constitution, name=asked.validated_data["name"], version=version
            )
        except actions.Refused as refused:
            return Response({"detail": str(refused)}, status=status.HTTP_409_CONFLICT)
        return Response(_aliases_of(constitution))


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


class Compare(APIView):
    """What changed from one state of a constitution to another."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, *STATES], responses=DifferenceSerializer, operation_id="compare")
    def get(self, request: Request, slug: str, old: str, new: str) -> Response:
        left, right = (get_state_for(request.user, slug, ref).to_core() for ref in (old, new))
        return Response(DifferenceSerializer(diff.diff_constitutions(left, right)).data)


class Ledger(mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[LedgerEntry]):
    """The ledger, newest entry first."""

    queryset = LedgerEntry.objects.all()
    serializer_class = LedgerEntrySerializer
    filterset_class = LedgerFilter
    permission_classes = [HasRole]
    cursor_ordering = "-seq"
    lookup_value_regex = "[0-9]{1,18}"


def _person(request: Request) -> User:
    """Who asks; the permission classes have let in nobody else."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def _draft_body(draft: Draft) -> Any:
    canonical = core.canonical_json(draft.to_core())
    body = {
        "revision": draft.revision,
        "branch": draft.branch,
        "base": draft.base.number if draft.base else None,
        "merging": f"{draft.merging.constitution.slug}@{draft.merging.number}" if draft.merging else None,
        "digest": core.digest_of_text(canonical),
        "canonical": canonical,
        "updated_at": draft.updated_at,
        "updated_by": name_of(draft.updated_by),
    }
    return DraftSerializer(body).data


def _aliases_of(constitution: Constitution) -> Any:
    latest = latest_of(constitution)
    rows = constitution.aliases.values_list("name", "version__number")
    found = [("latest", latest.number)] if latest else []
    return [{"name": name, "version": number} for name, number in [*found, *rows]]


def _version(state: Version | Draft) -> Version:
    """A merge takes versions: a branch is published before it is merged."""
    if isinstance(state, Draft):
        raise Http404("Drafts are not merged; publish it and merge the version.")
    return state


def _side(value: merge.Value) -> Any:
    """What one side of a conflict says, as JSON holds it."""
    return asdict(value) if isinstance(value, core.Principle | core.Exemplar) else value


def _plain(value: Any) -> Any:
    """A field's value as JSON holds it."""
    return vars(value) if isinstance(value, core.Source) else value


def register(router: SimpleRouter) -> None:
    """Add the lists of this app to a router."""
    router.register("constitutions", Constitutions, basename="api-constitutions")
    router.register("ledger", Ledger, basename="api-ledger")


converters.register()
router = SimpleRouter()
register(router)
urlpatterns = [
    *router.urls,
    path("constitutions/<place:slug>/draft/", OneDraft.as_view(), name="api-draft"),
    path("constitutions/<place:slug>/publish/", Publish.as_view(), name="api-publish"),
    path("constitutions/<slug:slug>/versions/", Versions.as_view({"get": "list"}), name="api-versions"),
    path("constitutions/<slug:slug>/versions/<number:number>/", OneVersion.as_view(), name="api-version"),
    path(
        "constitutions/<slug:slug>/versions/<number:number>/principles/<slug:key>/",
        OnePrinciple.as_view(),
        name="api-principle",
    ),
    path("constitutions/<slug:slug>/branches/", Branches.as_view(), name="api-branches"),
    path("constitutions/<place:slug>/draft/merge/<state:merged>/", MergeInto.as_view(), name="api-merge"),
    path("constitutions/<slug:slug>/aliases/", Aliases.as_view(), name="api-aliases"),
    path("constitutions/<slug:slug>/blame/<state:new>/<slug:key>/", Blame.as_view(), name="api-blame"),
    path("constitutions/<slug:slug>/compare/<state:old>..<state:new>/", Compare.as_view(), name="api-compare"),
]
