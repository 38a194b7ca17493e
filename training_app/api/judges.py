"""Judges, and how they were measured."""

from __future__ import annotations

import django_filters as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from constitutions_app.api.asking import person_of
from training_app import access
from training_app.actions import cancel_judge
from training_app.api.reading import Filters, Reading
from training_app.api.refusing import refusals_told
from training_app.models import Judge, JudgeEvaluation


class JudgeSerializer(serializers.ModelSerializer[Judge]):
    class Meta:
        model = Judge
        fields = (
            "id", "name", "model_name", "model_digest", "template", "aggregation", "order_policy", "dtype", "backend",
            "layout", "sampling", "manner", "digest", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class JudgeEvaluationSerializer(serializers.ModelSerializer[JudgeEvaluation]):
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = JudgeEvaluation
        fields = (
            "id", "file_name", "file_digest", "format", "model", "params", "judge", "state", "reason", "advice", "done",
            "total", "eta_s", "report", "created_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class JudgeEvaluationFilter(Filters):
    state = filters.ChoiceFilter(choices=JudgeEvaluation.State.choices)
    judge = filters.NumberFilter(field_name="judge_id")
    file_digest = filters.CharFilter(field_name="file_digest")


class Judges(Reading[Judge]):
    """Models with template and rules, as labels cite them."""

    queryset = Judge.objects.all()
    serializer_class = JudgeSerializer


class JudgeEvaluations(Reading[JudgeEvaluation]):
    """Judges measured on files of questions whose answer is known."""

    queryset = JudgeEvaluation.objects.select_related("created_by")
    serializer_class = JudgeEvaluationSerializer
    filterset_class = JudgeEvaluationFilter
    cursor_ordering = "-created_at"

    @extend_schema(request=None, responses={200: JudgeEvaluationSerializer}, summary="Cancel a judge's measurement")
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        asked = access.get_judge_evaluation_to_cancel_for(request.user, self.get_object().pk)
        with refusals_told():
            after = cancel_judge(user=person_of(request), evaluation=asked)
        return Response(self.get_serializer(after).data)
