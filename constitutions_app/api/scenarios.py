"""Scenarios of a constitution: reading, writing and retiring them."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import (
    can_write_scenarios,
    get_constitution_for,
    get_editable_scenario_for,
    get_scenario_for,
)
from constitutions_app.api.addresses import SCENARIO, SLUG
from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.models import Scenario


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
        said = checked(ScenarioSerializer(data=request.data))
        said.pop("revision", None)
        with conflicts_told():
            made = actions.create_scenario(
                user=person_of(request), constitution=constitution, origin={"kind": "api"}, **said
            )
        return Response(ScenarioSerializer(made).data, status=status.HTTP_201_CREATED)


class OneScenario(APIView):
    """One scenario."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, SCENARIO], responses=ScenarioSerializer, operation_id="scenario")
    def get(self, request: Request, slug: str, key: str) -> Response:
        return Response(ScenarioSerializer(get_scenario_for(request.user, slug, key)).data)

    @extend_schema(
        parameters=[SLUG, SCENARIO],
        request=ScenarioSerializer,
        responses={200: ScenarioSerializer, 409: RefusalSerializer},
        operation_id="edit_scenario",
    )
    def patch(self, request: Request, slug: str, key: str) -> Response:
        scenario = get_editable_scenario_for(request.user, slug, key)
        said = checked(ScenarioSerializer(data=request.data, partial=True))
        revision = said.pop("revision", -1)
        with conflicts_told():
            scenario = actions.edit_scenario(
                user=person_of(request), scenario=scenario, revision=revision, changes=said
            )
        return Response(ScenarioSerializer(scenario).data)


class RetireScenario(APIView):
    """Takes a scenario out of use, or with `restore/` back into it."""

    permission_classes = [HasRole]
    restore = False

    @extend_schema(parameters=[SLUG, SCENARIO], request=None, responses=ScenarioSerializer)
    def post(self, request: Request, slug: str, key: str) -> Response:
        scenario = get_editable_scenario_for(request.user, slug, key)
        verb = actions.restore_scenario if self.restore else actions.retire_scenario
        return Response(ScenarioSerializer(verb(user=person_of(request), scenario=scenario)).data)
