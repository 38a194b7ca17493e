"""Runs that are compared: what each arm measured, and how far the arms differ, paired by prompt and seed."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from training_app.api.reading import Filters, Reading
from training_app.core.expected import Outcome
from training_app.core.paired import Verdict
from training_app.models import Run, RunGroup
from training_app.run_groups import compared, runs_of

OUTCOMES = [(one.value, one.value) for one in Outcome]
VERDICTS = [(one.value, one.value) for one in Verdict]


class ArmedRunSerializer(serializers.ModelSerializer[Run]):
    class Meta:
        model = Run
        fields = ("id", "number", "arm", "seed", "state")
        read_only_fields = fields


class ExpectationSerializer(serializers.Serializer[Any]):
    """What was named before the launch: the arm's text asks for more, or less, of a feature."""

    arm = serializers.CharField()
    feature = serializers.CharField()
    more = serializers.BooleanField()


class RunGroupSerializer(serializers.ModelSerializer[RunGroup]):
    arms: Any = serializers.ListField(child=serializers.CharField(), read_only=True)
    expects = ExpectationSerializer(many=True, read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = RunGroup
        fields: tuple[str, ...] = ("id", "name", "arms", "expects", "created_by", "created_at")
        read_only_fields = fields


def _interval() -> Any:
    return serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2, allow_null=True)


class PairedSerializer(serializers.Serializer[Any]):
    """A mean over prompts and seeds with its 95% intervals: over prompts alone, and over prompts and seeds both."""

    value = serializers.FloatField(allow_null=True)
    over_prompts: Any = _interval()
    over_both: Any = _interval()
    by_seed: Any = serializers.ListField(child=serializers.FloatField())
    prompts = serializers.IntegerField()
    p = serializers.FloatField(allow_null=True, help_text="Of a mean so far from 0 by chance, over both.")
    note = serializers.CharField(help_text="Why something is missing.")


class MetricRowSerializer(serializers.Serializer[Any]):
    """One metric: its means in the order of the part's columns; `counts`: whether these are shares of the answers."""

    name = serializers.CharField()
    counts = serializers.BooleanField()
    values: Any = PairedSerializer(many=True)
    note = serializers.CharField()


class MetricDifferenceSerializer(serializers.Serializer[Any]):
    """Two arms in one metric. The verdict holds for all metrics of the pair looked at together."""

    name = serializers.CharField()
    counts = serializers.BooleanField()
    difference = PairedSerializer()
    verdict = serializers.ChoiceField(choices=VERDICTS)


class ExpectedRowSerializer(serializers.Serializer[Any]):
    """Named before the launch: `ours` less `theirs` should be above 0 (1), below it (-1), or neither (0)."""

    name = serializers.CharField()
    ours = serializers.CharField(source="named.ours")
    theirs = serializers.CharField(source="named.theirs")
    expected = serializers.IntegerField(source="named.sign")
    difference = PairedSerializer()
    outcome = serializers.ChoiceField(choices=OUTCOMES)


class PairPartSerializer(serializers.Serializer[Any]):
    """Two arms in the metrics that nobody named beforehand: `ours` less `theirs`, prompt by prompt and seed by seed."""

    ours = serializers.CharField()
    theirs = serializers.CharField()
    rows = MetricDifferenceSerializer(many=True)


class ModelPartSerializer(serializers.Serializer[Any]):
    """One model that the runs made: every metric by arm, and the arms held against each other and the base model."""

    model = serializers.CharField()
    columns: Any = serializers.ListField(child=serializers.CharField())
    rows = MetricRowSerializer(many=True)
    expected = ExpectedRowSerializer(many=True)
    pairs = PairPartSerializer(many=True)


class ComparedRunsSerializer(RunGroupSerializer):
    """With every run and what it measured; three queries, however many runs and prompts there are."""

    runs = serializers.SerializerMethodField()
    parts = serializers.SerializerMethodField()

    @extend_schema_field(ArmedRunSerializer(many=True))
    def get_runs(self, group: RunGroup) -> Any:
        return ArmedRunSerializer(runs_of(group), many=True).data

    @extend_schema_field(ModelPartSerializer(many=True))
    def get_parts(self, group: RunGroup) -> Any:
        return ModelPartSerializer(list(compared(group, runs_of(group))), many=True).data

    class Meta:
        model = RunGroup
        fields = (*RunGroupSerializer.Meta.fields, "runs", "parts")
        read_only_fields = fields


class RunGroupFilter(Filters):
    name = filters.CharFilter(field_name="name")


class RunGroups(Reading[RunGroup]):
    """Compared runs. One of them comes with what every arm measured and its paired differences."""

    queryset = RunGroup.objects.select_related("created_by")
    filterset_class = RunGroupFilter
    cursor_ordering = ("-created_at", "-id")

    def get_serializer_class(self) -> type[RunGroupSerializer]:
        return ComparedRunsSerializer if self.action == "retrieve" else RunGroupSerializer
