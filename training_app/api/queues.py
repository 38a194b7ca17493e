"""Queues of items to judge: making one, how far it is, whom it is for. Judging in one is in `queue_items.py`."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from django.db.models import Q
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from constitutions_app.access import Role, people_with_role
from constitutions_app.api.asking import checked, person_of
from training_app import access
from training_app.actions import assign_queue, close_queue, create_queue
from training_app.actions.create_queue import LARGEST, QueuePlan
from training_app.api.reading import Filters, Reading
from training_app.models import AuditQueue, PromptSet
from training_app.models.queue import DRAWN_BY, KINDS_DRAWN, MOST_AUDITORS
from training_app.queues.progress import decided_today, shares_of
from training_app.refusals import QueueRefused

LARGEST_SEED = 2**31 - 1


class AuditQueueSerializer(serializers.ModelSerializer[AuditQueue]):
    """A queue; `decisions` of `wanted` are there."""

    people: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)
    calibration_set: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True)
    wanted = serializers.IntegerField(read_only=True)

    class Meta:
        model = AuditQueue
        fields: tuple[str, ...] = (
            "id", "name", "kind", "filters", "rule", "seed", "per_item", "hide_principle", "goal", "calibration_set",
            "people", "items_count", "decisions", "wanted", "created_by", "created_at", "closed_at",
        )  # fmt: skip
        read_only_fields = fields


class ShareSerializer(serializers.Serializer[Any]):
    """How many items of the queue one person has decided."""

    person = serializers.CharField(source="person.username")
    decided = serializers.IntegerField()


class QueueProgressSerializer(AuditQueueSerializer):
    """With who decided how much, and how much of it you did today. Four more queries."""

    shares = serializers.SerializerMethodField()
    today = serializers.SerializerMethodField(help_text="Items you decided since midnight.")
    may_judge = serializers.SerializerMethodField(help_text="Whether you are given items of it.")

    class Meta:
        model = AuditQueue
        fields = (*AuditQueueSerializer.Meta.fields, "shares", "today", "may_judge")
        read_only_fields = fields

    @extend_schema_field(ShareSerializer(many=True))
    def get_shares(self, queue: AuditQueue) -> Any:
        return ShareSerializer(shares_of(queue), many=True).data

    def get_today(self, queue: AuditQueue) -> int:
        return decided_today(queue, self.context["request"].user)

    def get_may_judge(self, queue: AuditQueue) -> bool:
        return access.is_for(self.context["request"].user, queue)


class PeopleSerializer(serializers.Serializer[Any]):
    """Whom a queue is for; nobody: every auditor."""

    people = serializers.PrimaryKeyRelatedField(
        queryset=people_with_role(Role.AUDITOR), many=True, required=False, default=list
    )


class QueuePlanSerializer(PeopleSerializer):
    """A queue to be. Its items are drawn once, by filter, rule and seed."""

    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(choices=KINDS_DRAWN)
    rule = serializers.ChoiceField(choices=DRAWN_BY)
    size = serializers.IntegerField(min_value=1, max_value=LARGEST, help_text="Items at most.")
    filters = serializers.CharField(
        max_length=2000, required=False, allow_blank=True, default="", help_text="As in the explorer's address."
    )
    seed = serializers.IntegerField(min_value=0, max_value=LARGEST_SEED, required=False, default=7)
    per_item = serializers.IntegerField(min_value=1, max_value=MOST_AUDITORS, required=False, default=1)
    goal = serializers.IntegerField(min_value=0, max_value=10_000, required=False, default=0)
    hide_principle = serializers.BooleanField(required=False, default=False)
    calibration_set = serializers.SlugRelatedField(
        slug_field="slug", queryset=PromptSet.objects.filter(kind=PromptSet.Kind.COMPARISONS), required=False,
        allow_null=True, default=None,
    )  # fmt: skip
    calibration = serializers.IntegerField(min_value=0, max_value=1000, required=False, default=0)


class AuditQueueFilter(Filters):
    kind = filters.ChoiceFilter(choices=AuditQueue.Kind.choices)
    rule = filters.ChoiceFilter(choices=AuditQueue.Rule.choices)
    is_open = filters.BooleanFilter(field_name="closed_at", lookup_expr="isnull")
    mine = filters.BooleanFilter(method="for_me", label="Whether it names you, or nobody")

    def for_me(self, rows: Any, name: str, value: bool) -> Any:
        named = rows.model.objects.filter(people=self.request.user.pk).values("pk")
        nobody = rows.model.objects.filter(people=None).values("pk")
        meant = Q(pk__in=named) | Q(pk__in=nobody)
        return rows.filter(meant) if value else rows.exclude(meant)


class Queues(Reading[AuditQueue]):
    """Queues, newest first; one of them comes with its shares. Engineers and auditors make them."""

    queryset = AuditQueue.objects.select_related("created_by", "calibration_set").prefetch_related("people")
    filterset_class = AuditQueueFilter

    def get_serializer_class(self) -> type[AuditQueueSerializer]:
        return AuditQueueSerializer if self.action == "list" else QueueProgressSerializer

    @extend_schema(request=QueuePlanSerializer, responses={201: QueueProgressSerializer}, summary="Make a queue")
    def create(self, request: Request) -> Response:
        if not access.can_make_queues(request.user):
            raise PermissionDenied("Engineers and auditors make queues.")
        wanted = checked(QueuePlanSerializer(data=request.data))
        people = wanted.pop("people")
        try:
            queue = create_queue(user=person_of(request), plan=QueuePlan(**wanted), people=people)
        except QueueRefused as refusal:
            raise ValidationError({refusal.field or "detail": [str(refusal)]}) from refusal
        return Response(self.get_serializer(queue).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={200: QueueProgressSerializer}, summary="Close a queue")
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:
        queue = access.get_queue_to_change_for(request.user, self.get_object().pk)
        return Response(self.get_serializer(close_queue(user=person_of(request), queue=queue)).data)

    @extend_schema(
        request=PeopleSerializer, responses={200: QueueProgressSerializer}, summary="Say whom a queue is for"
    )
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:
        queue = access.get_queue_to_change_for(request.user, self.get_object().pk)
        wanted = checked(PeopleSerializer(data=request.data))
        return Response(
            self.get_serializer(assign_queue(user=person_of(request), queue=queue, people=wanted["people"])).data
        )
