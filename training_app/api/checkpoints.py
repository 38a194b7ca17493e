"""Checkpoints, and which of them a principle ever taught."""

from __future__ import annotations

import re

import django_filters as filters
from django.db.models import QuerySet
from rest_framework import serializers

from training_app import taught
from training_app.api.reading import OfRunFilter, Reading
from training_app.models import Checkpoint


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    class Meta:
        model = Checkpoint
        fields = (
            "id", "run", "stage", "version", "constitution_digest", "parent", "reward_model", "path", "digest",
            "manifest", "size_bytes", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class CheckpointFilter(OfRunFilter):
    stage = filters.CharFilter(field_name="stage")
    version = filters.NumberFilter(field_name="version_id")
    digest = filters.CharFilter(field_name="digest")
    constitution_digest = filters.CharFilter(field_name="constitution_digest")
    saw = filters.CharFilter(
        method="that_saw",
        label="Ever saw a principle of a version: constitution@number/principle, as privacy@3/honesty",
    )

    def that_saw(self, rows: QuerySet[Checkpoint], name: str, value: str) -> QuerySet[Checkpoint]:
        """Those that were taught by the principle, directly or through what they were made from; one query."""
        match = re.fullmatch(r"([\w-]{1,80})@(\d{1,9})/([\w-]{1,80})", value)
        return rows.filter(pk__in=taught.by_words(match[1], int(match[2]), match[3])) if match else rows.none()


class Checkpoints(Reading[Checkpoint]):
    """Weights with their manifests."""

    queryset = Checkpoint.objects.all()
    serializer_class = CheckpointSerializer
    filterset_class = CheckpointFilter
