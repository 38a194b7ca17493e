"""Dataset builds and the origin of every row of theirs."""

from __future__ import annotations

import django_filters as filters
from rest_framework import serializers

from training_app.api.reading import Filters, OfRunFilter, Reading
from training_app.models import DatasetBuild, DatasetItem


class BuildSerializer(serializers.ModelSerializer[DatasetBuild]):
    class Meta:
        model = DatasetBuild
        fields = ("id", "run", "stage", "name", "digest", "rows", "path", "rules", "created_at")
        read_only_fields = fields


class BuildItemSerializer(serializers.ModelSerializer[DatasetItem]):
    class Meta:
        model = DatasetItem
        fields = ("id", "build", "position", "step", "trace", "label", "comparison", "audit")
        read_only_fields = fields


class BuildFilter(OfRunFilter):
    stage = filters.CharFilter(field_name="stage")
    digest = filters.CharFilter(field_name="digest")


class BuildItemFilter(Filters):
    build = filters.NumberFilter(field_name="build_id")
    label = filters.NumberFilter(field_name="label_id")
    step = filters.NumberFilter(field_name="step_id")


class DatasetBuilds(Reading[DatasetBuild]):
    """Exactly what training stages saw, with the rules and counts."""

    queryset = DatasetBuild.objects.all()
    serializer_class = BuildSerializer
    filterset_class = BuildFilter


class DatasetItems(Reading[DatasetItem]):
    """The origin of every row of the dataset builds. Rows of items that you have yet to judge blind are left out."""

    queryset = DatasetItem.objects.all()
    serializer_class = BuildItemSerializer
    hides = (("label", "label"), ("step", "step"), ("comparison", "comparison"))
    filterset_class = BuildItemFilter
