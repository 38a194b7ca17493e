"""The stages of runs, what they said, and the points of their curves."""

from __future__ import annotations

import django_filters as filters
from rest_framework import serializers

from training_app.api.reading import Filters, Reading
from training_app.api.runs import StageSerializer
from training_app.models import MetricPoint, RunEvent, RunStage
from training_app.models.run import StageState


class EventSerializer(serializers.ModelSerializer[RunEvent]):
    class Meta:
        model = RunEvent
        fields = ("id", "stage", "seq", "kind", "at", "data")
        read_only_fields = fields


class MetricSerializer(serializers.ModelSerializer[MetricPoint]):
    class Meta:
        model = MetricPoint
        fields = ("id", "stage", "name", "step", "value")
        read_only_fields = fields


class StageFilter(Filters):
    run = filters.UUIDFilter(field_name="run_id")
    slug = filters.CharFilter(field_name="slug")
    state = filters.ChoiceFilter(choices=StageState.choices)


class OfStageFilter(Filters):
    run = filters.UUIDFilter(field_name="stage__run_id")
    stage = filters.NumberFilter(field_name="stage_id")


class EventFilter(OfStageFilter):
    kind = filters.CharFilter(field_name="kind")
    after = filters.NumberFilter(field_name="id", lookup_expr="gt")


class MetricFilter(OfStageFilter):
    name = filters.CharFilter(field_name="name")


class Stages(Reading[RunStage]):
    """Stages of runs, with progress, device, digests and outputs."""

    queryset = RunStage.objects.all()
    serializer_class = StageSerializer
    filterset_class = StageFilter


class Events(Reading[RunEvent]):
    """What stages said, oldest first, so that `after` follows a run."""

    queryset = RunEvent.objects.all()
    serializer_class = EventSerializer
    filterset_class = EventFilter
    cursor_ordering = "id"


class Metrics(Reading[MetricPoint]):
    """The points of the curves."""

    queryset = MetricPoint.objects.all()
    serializer_class = MetricSerializer
    filterset_class = MetricFilter
    cursor_ordering = "id"
