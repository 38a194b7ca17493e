"""The ledger, and the part of it that is about one constitution."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets

from constitutions_app.access import get_constitution_for, untold_entries
from constitutions_app.activity import entries_of
from constitutions_app.api.addresses import SLUG
from constitutions_app.api.asking import HasRole
from constitutions_app.models import LedgerEntry


class _Entries(serializers.ListSerializer[LedgerEntry]):
    """A page of entries: what is kept back is asked for all of them at once."""

    def to_representation(self, data: Any) -> list[Any]:
        rows, request = list(data), self.context.get("request")
        if request and isinstance(self.child, LedgerEntrySerializer):
            self.child.untold = untold_entries(request.user, rows)
        return super().to_representation(rows)


class LedgerEntrySerializer(serializers.ModelSerializer[LedgerEntry]):
    """One entry. sha256(previous_hash + body) is its hash; `body` is given as the exact text that was hashed.

    `body` is empty where it says how somebody judged an item that the caller has yet to judge blind.
    """

    untold: frozenset[int] | None = None
    """The entries that are kept back, of those that are shown; None before that was asked."""

    def to_representation(self, instance: LedgerEntry) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        request = self.context.get("request")
        if self.untold is None and request:
            self.untold = untold_entries(request.user, [instance])
        if instance.seq in (self.untold or ()):
            shown["body"] = ""
        return shown

    class Meta:
        model = LedgerEntry
        list_serializer_class = _Entries
        fields = (
            "seq",
            "at",
            "actor_name",
            "verb",
            "object_type",
            "object_id",
            "object_label",
            "body",
            "previous_hash",
            "hash",
        )
        read_only_fields = fields


class LedgerFilter(django_filters.FilterSet):
    """What the ledger can be asked for; other keys are ignored and never reach the ORM."""

    object_type = django_filters.CharFilter()
    object_id = django_filters.CharFilter()
    verb = django_filters.CharFilter()

    class Meta:
        model = LedgerEntry
        fields = ("object_type", "object_id", "verb")


class Ledger(mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[LedgerEntry]):
    """The ledger, newest entry first."""

    queryset = LedgerEntry.objects.all()
    serializer_class = LedgerEntrySerializer
    filterset_class = LedgerFilter
    permission_classes = [HasRole]
    cursor_ordering = "-seq"
    lookup_value_regex = "[0-9]{1,18}"


@extend_schema(parameters=[SLUG])
class Activity(mixins.ListModelMixin, viewsets.GenericViewSet[LedgerEntry]):
    """The ledger entries about one constitution and what belongs to it, newest first."""

    queryset = LedgerEntry.objects.none()
    serializer_class = LedgerEntrySerializer
    permission_classes = [HasRole]
    cursor_ordering = "-seq"

    def get_queryset(self) -> QuerySet[LedgerEntry]:
        if getattr(self, "swagger_fake_view", False):
            return LedgerEntry.objects.none()
        return entries_of(get_constitution_for(self.request.user, self.kwargs["slug"]))
