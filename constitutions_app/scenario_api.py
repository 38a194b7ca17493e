"""The API of scenarios, interchange, search and activity. Reading is broad; writing goes through the verbs."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions, converters
from constitutions_app.access import (
    Role,
    can_write,
    can_write_scenarios,
    get_constitution_for,
    get_draft_for,
    get_editable_scenario_for,
    get_scenario_for,
    get_version_for,
    has_role,
)
from constitutions_app.activity import entries_of
from constitutions_app.api import NUMBER, SLUG, HasRole, LedgerEntrySerializer, RefusalSerializer
from constitutions_app.core.interchange import FORMATS, read_bytes
from constitutions_app.models import LedgerEntry, Scenario
from constitutions_app.searching import LONGEST_QUESTION, PLACES, Hit, search
from constitutions_app.views.exporting import exported

KEY = OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH, description="The scenario's key.")
FORMAT = OpenApiParameter("form", OpenApiTypes.STR, OpenApiParameter.PATH, description="json, yaml or markdown.")


class ScenarioSerializer(serializers.ModelSerializer[Scenario]):
    """A scenario. `revision` names the words that were read; a change must say which it was made from."""

    principles = serializers.ListField(child=serializers.CharField(max_length=80), required=False, max_length=500)
    revision = serializers.IntegerField(required=False, min_value=0)

    class Meta:
        model = Scenario
        fields = (
            "key",
            "title",
            "principles",
            "prompt",
            "response_a",
            "response_b",
            "expected",
            "note",
            "origin",
            "revision",
            "retired_at",
            "updated_at",
        )
        read_only_fields = ("key", "origin", "retired_at", "updated_at")


class ResultSerializer(serializers.Serializer[Any]):
    """What a judge said of one scenario under one principle; an empty principle is the whole constitution."""

    scenario = serializers.CharField(max_length=120)
    principle = serializers.CharField(max_length=80, allow_blank=True)
    p_expected = serializers.FloatField(min_value=0, max_value=1)


class ResultsSerializer(serializers.Serializer[Any]):
    """Results of one judge under the text with `constitution_digest`."""

    constitution_digest = serializers.CharField(max_length=64)
    judge_digest = serializers.CharField(max_length=64)
    judge_name = serializers.CharField(max_length=200)
    results = ResultSerializer(many=True, allow_empty=False)


class StoredSerializer(serializers.Serializer[Any]):
    """How many results were stored."""

    stored = serializers.IntegerField()


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


@extend_schema(parameters=[SLUG])
class Scenarios(mixins.ListModelMixin, viewsets.GenericViewSet[Scenario]):
    """The scenarios of a constitution, in the order of their keys; retired ones too."""

    queryset = Scenario.objects.none()
    serializer_class = ScenarioSerializer
    permission_classes = [HasRole]
    cursor_ordering = "key"

    def get_queryset(self) -> QuerySet[Scenario]:
        if getattr(self, "swagger_fake_view", False):
            return Scenario.objects.none()
        return get_constitution_for(self.request.user, self.kwargs["slug"]).scenarios.all()

    @extend_schema(responses={201: ScenarioSerializer, 409: RefusalSerializer})
    def create(self, request: Request, slug: str) -> Response:
        constitution = get_constitution_for(request.user, slug)
        if not can_write_scenarios(request.user):
            raise PermissionDenied("Your role reads scenarios and does not change them.")
        said = _valid(ScenarioSerializer(data=request.data))
        said.pop("revision", None)
        try:
            made = actions.create_scenario(
                user=_person(request), constitution=constitution, origin={"kind": "api"}, **said
            )
        except actions.Refused as refusal:
            return _refused(refusal)
        return Response(ScenarioSerializer(made).data, status=status.HTTP_201_CREATED)


class OneScenario(APIView):
    """One scenario."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, KEY], responses=ScenarioSerializer, operation_id="scenario")
    def get(self, request: Request, slug: str, key: str) -> Response:
        return Response(ScenarioSerializer(get_scenario_for(request.user, slug, key)).data)

    @extend_schema(
        parameters=[SLUG, KEY],
        request=ScenarioSerializer,
        responses={200: ScenarioSerializer, 409: RefusalSerializer},
        operation_id="edit_scenario",
    )
    def patch(self, request: Request, slug: str, key: str) -> Response:
        scenario = get_editable_scenario_for(request.user, slug, key)
        said = _valid(ScenarioSerializer(data=request.data, partial=True))
        revision = said.pop("revision", -1)
        try:
            scenario = actions.edit_scenario(user=_person(request), scenario=scenario, revision=revision, changes=said)
        except (actions.Refused, actions.ScenarioConflict) as refusal:
            return _refused(refusal)
        return Response(ScenarioSerializer(scenario).data)


class RetireScenario(APIView):
    """Takes a scenario out of use, or with `restore/` back into it."""

    permission_classes = [HasRole]
    restore = False

    @extend_schema(parameters=[SLUG, KEY], request=None, responses=ScenarioSerializer)
    def post(self, request: Request, slug: str, key: str) -> Response:
        scenario = get_editable_scenario_for(request.user, slug, key)
        verb = actions.restore_scenario if self.restore else actions.retire_scenario
        return Response(ScenarioSerializer(verb(user=_person(request), scenario=scenario)).data)


class StoreResults(APIView):
    """Stores what a judge said of scenarios. For engineers, who run judges: results open the way to publishing."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[SLUG],
        request=ResultsSerializer,
        responses={201: StoredSerializer, 409: RefusalSerializer},
        operation_id="store_scenario_results",
    )
    def post(self, request: Request, slug: str) -> Response:
        constitution = get_constitution_for(request.user, slug)
        if not has_role(request.user, Role.ENGINEER):
            raise PermissionDenied("Only engineers store the results of judges.")
        said = _valid(ResultsSerializer(data=request.data))
        named = {row.key: row for row in constitution.scenarios.all()}
        try:
            results = [
                actions.Result(_named(named, one["scenario"]), one["principle"], one["p_expected"])
                for one in said.pop("results")
            ]
            rows = actions.record_scenario_results(
                user=_person(request), constitution=constitution, results=results, **said
            )
        except actions.Refused as refusal:
            return _refused(refusal)
        return Response({"stored": len(rows)}, status=status.HTTP_201_CREATED)


class ExportVersion(APIView):
    """A version in our own format; importing it gives the same digest."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, NUMBER, FORMAT], responses=OpenApiTypes.BINARY, operation_id="export_version")
    def get(self, request: Request, slug: str, number: int, form: str) -> HttpResponse:
        version = get_version_for(request.user, slug, number)
        return exported(version.to_core(), form, f"{version.constitution.slug}-v{version.number}")


class ExportDraft(APIView):
    """A draft in our own format."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, FORMAT], responses=OpenApiTypes.BINARY, operation_id="export_draft")
    def get(self, request: Request, slug: str, form: str) -> HttpResponse:
        draft = get_draft_for(request.user, slug)
        return exported(draft.to_core(), form, f"{draft.address.replace('@', '-')}-draft")


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
        said = _valid(ImportSerializer(data=request.data))
        link = (said["linked_text"].encode(), said["linked_file_name"]) if said.get("linked_text") else None
        beside = {f"examples/{name}": text.encode() for name, text in said.get("examples", {}).items()}
        data = said["text"].encode()
        found = read_bytes(data, said["file_name"], said.get("format") or None, link, beside)
        if not said["write"]:
            return Response({**found.as_json(), "written": None})
        if found.is_empty:
            return _refused(actions.Refused("Nothing of the file was understood, so nothing was written."))
        file = actions.ImportedFile(found, said["file_name"], data, said.get("licence", ""))
        try:
            made = actions.create_constitution(
                user=_person(request),
                name=said.get("name") or found.constitution.name,
                description=f"Imported from {said['file_name']} ({found.format}).",
                start=found.constitution,
                file=file,
            )
        except actions.Refused as refusal:
            return _refused(refusal)
        return Response({**found.as_json(), "written": made.slug}, status=status.HTTP_201_CREATED)


class Search(APIView):
    """The best hits in principles, rationale, change notes, threads and scenarios."""

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


@extend_schema(parameters=[SLUG])
class Activity(mixins.ListModelMixin, viewsets.GenericViewSet[LedgerEntry]):
    """The ledger entries about one constitution and what belongs to it, newest first."""

    queryset = LedgerEntry.objects.none()
    serializer_class = LedgerEntrySerializer
    permission_classes = [HasRole]
    cursor_ordering = "-seq"

    def get_queryset(self) -> QuerySet[LedgerEntry]:
        if getattr(self, "swagger_fake_view", False):
            return LedgerEntry.objects.none()
        return entries_of(get_constitution_for(self.request.user, self.kwargs["slug"]))


def _valid(asked: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def _named(known: dict[str, Scenario], key: str) -> Scenario:
    if key not in known:
        raise actions.Refused(f"There is no scenario {key!r} here.")
    return known[key]


def _refused(refusal: Exception) -> Response:
    return Response({"detail": str(refusal)}, status=status.HTTP_409_CONFLICT)


def _person(request: Request) -> User:
    """Who asks; the permission classes have let in nobody else."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


converters.register()
_ONE = "constitutions/<slug:slug>/scenarios/<slug:key>"
urlpatterns = [
    path("import/", ImportFile.as_view(), name="api-import"),
    path("search/", Search.as_view(), name="api-search"),
    path("constitutions/<slug:slug>/activity/", Activity.as_view({"get": "list"}), name="api-activity"),
    path(
        "constitutions/<slug:slug>/scenarios/",
        Scenarios.as_view({"get": "list", "post": "create"}),
        name="api-scenarios",
    ),
    path("constitutions/<slug:slug>/scenario-results/", StoreResults.as_view(), name="api-scenario-results"),
    path(f"{_ONE}/", OneScenario.as_view(), name="api-scenario"),
    path(f"{_ONE}/retire/", RetireScenario.as_view(), name="api-retire-scenario"),
    path(f"{_ONE}/restore/", RetireScenario.as_view(restore=True), name="api-restore-scenario"),
    path(
        "constitutions/<slug:slug>/versions/<number:number>/export/<slug:form>/",
        ExportVersion.as_view(),
        name="api-export-version",
    ),
    path("constitutions/<place:slug>/draft/export/<slug:form>/", ExportDraft.as_view(), name="api-export-draft"),
]
