"""What was measured on the models, and their answers to held-out prompts."""

from __future__ import annotations

import django_filters as filters
from rest_framework import serializers

from training_app.api.reading import OfRunFilter, Reading
from training_app.models import Evaluation, EvaluationAnswer


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    class Meta:
        model = Evaluation
        fields = ("id", "run", "model", "checkpoint", "metrics", "created_at")
        read_only_fields = fields


class AnswerSerializer(serializers.ModelSerializer[EvaluationAnswer]):
    class Meta:
        model = EvaluationAnswer
        fields = ("id", "run", "model", "prompt", "text", "reward", "evasive", "boilerplate", "words", "features")
        read_only_fields = fields


class EvaluationFilter(OfRunFilter):
    model = filters.CharFilter(field_name="model")


class AnswerFilter(EvaluationFilter):
    prompt = filters.NumberFilter(field_name="prompt_id")


class Evaluations(Reading[Evaluation]):
    """What was measured on base, SL-CAI and RL-CAI."""

    queryset = Evaluation.objects.all()
    serializer_class = EvaluationSerializer
    filterset_class = EvaluationFilter


class Answers(Reading[EvaluationAnswer]):
    """The held-out prompts as each model answered them."""

    queryset = EvaluationAnswer.objects.all()
    serializer_class = AnswerSerializer
    filterset_class = AnswerFilter
