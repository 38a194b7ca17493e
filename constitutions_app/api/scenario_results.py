"""What judges said of scenarios."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import Role, get_constitution_for, has_role
from constitutions_app.api.addresses import SLUG
from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.models import Scenario


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
        said = checked(ResultsSerializer(data=request.data))
        named = {row.key: row for row in constitution.scenarios.all()}
        with conflicts_told():
            results = [
                actions.Result(_named(named, one["scenario"]), one["principle"], one["p_expected"])
                for one in said.pop("results")
            ]
            rows = actions.record_scenario_results(
                user=person_of(request), constitution=constitution, results=results, **said
            )
        return Response({"stored": len(rows)}, status=status.HTTP_201_CREATED)


def _named(known: dict[str, Scenario], key: str) -> Scenario:
    if key not in known:
        raise actions.Refused(f"There is no scenario {key!r} here.")
    return known[key]
