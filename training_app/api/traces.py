"""Traces and their steps: initial responses, critiques and revisions."""

from __future__ import annotations

import django_filters as filters
from rest_framework import serializers

from training_app.api.reading import Filters, OfRunFilter, Reading
from training_app.models import Trace, TraceStep


class TraceSerializer(serializers.ModelSerializer[Trace]):
    class Meta:
        model = Trace
        fields = ("id", "run", "imported", "prompt", "initial_response", "tokens", "finish", "created_at")
        read_only_fields = fields


class StepSerializer(serializers.ModelSerializer[TraceStep]):
    principle_key = serializers.CharField(source="principle.key", read_only=True)
    version = serializers.IntegerField(source="principle.version_id", read_only=True)

    class Meta:
        model = TraceStep
        fields = (
            "id", "trace", "round", "principle", "principle_key", "version", "critique_request", "critique",
            "revision_request", "revision", "flags", "sent_critique", "sent_revision", "tokens", "seed", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class TraceFilter(OfRunFilter):
    prompt = filters.NumberFilter(field_name="prompt_id")


class StepFilter(Filters):
    run = filters.UUIDFilter(field_name="trace__run_id")
    trace = filters.NumberFilter(field_name="trace_id")
    principle = filters.NumberFilter(field_name="principle_id")
    principle_key = filters.CharFilter(field_name="principle__key")
    version = filters.NumberFilter(field_name="principle__version_id")


class Traces(Reading[Trace]):
    """Initial responses."""

    queryset = Trace.objects.all()
    serializer_class = TraceSerializer
    filterset_class = TraceFilter


class Steps(Reading[TraceStep]):
    """Critiques and revisions, each with the principle it cites at its exact version."""

    queryset = TraceStep.objects.select_related("principle")
    serializer_class = StepSerializer
    filterset_class = StepFilter
