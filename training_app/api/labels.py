"""Comparisons and what judges said of them."""

from __future__ import annotations

import django_filters as filters
from rest_framework import serializers

from training_app.api.reading import OfRunFilter, Reading
from training_app.models import AILabel, Comparison


class ComparisonSerializer(serializers.ModelSerializer[Comparison]):
    class Meta:
        model = Comparison
        fields = (
            "id", "source", "run", "prompt", "prompt_set", "key", "prompt_text", "messages", "response_a", "response_b",
            "identical", "human_choice", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class LabelSerializer(serializers.ModelSerializer[AILabel]):
    principle_key = serializers.CharField(source="principle.key", read_only=True, allow_null=True)
    version = serializers.IntegerField(source="principle.version_id", read_only=True, allow_null=True)

    class Meta:
        model = AILabel
        fields = (
            "id", "run", "comparison", "principle", "principle_key", "version", "judge", "question", "sent_ab",
            "sent_ba", "ab_logp_a", "ab_logp_b", "ba_logp_a", "ba_logp_b", "p_ab", "p_ba", "p_a", "p_neither",
            "votes", "clamp_low", "clamp_high", "p_a_clamped", "same_position", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class ComparisonFilter(OfRunFilter):
    source = filters.ChoiceFilter(choices=Comparison.Source.choices)
    prompt_set = filters.NumberFilter(field_name="prompt_set_id")
    identical = filters.BooleanFilter(field_name="identical")


class LabelFilter(OfRunFilter):
    comparison = filters.NumberFilter(field_name="comparison_id")
    principle = filters.NumberFilter(field_name="principle_id")
    principle_key = filters.CharFilter(field_name="principle__key")
    version = filters.NumberFilter(field_name="principle__version_id")
    judge = filters.NumberFilter(field_name="judge_id")
    same_position = filters.BooleanFilter(field_name="same_position")


class Comparisons(Reading[Comparison]):
    """Prompts with two responses: sampled ones and human ones."""

    queryset = Comparison.objects.all()
    serializer_class = ComparisonSerializer
    hides = (("comparison", "pk"),)
    filterset_class = ComparisonFilter


class Labels(Reading[AILabel]):
    """AI labels, raw log-probs in both orders included. Those that you have yet to judge blind are left out."""

    queryset = AILabel.objects.select_related("principle")
    serializer_class = LabelSerializer
    hides = (("label", "pk"),)
    filterset_class = LabelFilter
