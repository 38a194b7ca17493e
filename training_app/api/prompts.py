"""Prompt sets and their prompts."""

from __future__ import annotations

import django_filters as filters
from rest_framework import serializers

from training_app.api.reading import Filters, Reading
from training_app.models import Prompt, PromptSet


class PromptSetSerializer(serializers.ModelSerializer[PromptSet]):
    class Meta:
        model = PromptSet
        fields = (
            "id",
            "slug",
            "name",
            "kind",
            "licence",
            "digest",
            "rows",
            "made_by",
            "provenance",
            "created_by",
            "created_at",
        )
        read_only_fields = fields


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    class Meta:
        model = Prompt
        fields = ("id", "prompt_set", "key", "position", "text", "messages", "tags")
        read_only_fields = fields


class PromptSetFilter(Filters):
    kind = filters.ChoiceFilter(choices=PromptSet.Kind.choices)
    slug = filters.CharFilter(field_name="slug")


class PromptFilter(Filters):
    prompt_set = filters.NumberFilter(field_name="prompt_set_id")
    key = filters.CharFilter(field_name="key")


class PromptSets(Reading[PromptSet]):
    """Frozen collections of prompts."""

    queryset = PromptSet.objects.all()
    serializer_class = PromptSetSerializer
    filterset_class = PromptSetFilter


class Prompts(Reading[Prompt]):
    """The prompts of all sets."""

    queryset = Prompt.objects.all()
    serializer_class = PromptSerializer
    filterset_class = PromptFilter
