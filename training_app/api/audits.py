"""Verdicts of people."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from constitutions_app.api.asking import Conflict, checked, person_of
from training_app import access
from training_app.actions import record_audit
from training_app.actions.record_audit import LONGEST_COMMENT, Verdict
from training_app.api.reading import Filters, Reading
from training_app.models import AILabel, Audit, TraceStep
from training_app.refusals import AuditRefused


class AuditSerializer(serializers.ModelSerializer[Audit]):
    class Meta:
        model = Audit
        fields = (
            "id", "auditor", "label", "step", "verdict", "choice", "critique_fair", "revision_better", "principle_fits",
            "change_needed", "blind", "blind_choice", "shown_first", "seconds", "confidence", "reason", "comment",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields


class VerdictSerializer(serializers.Serializer[Any]):
    """A verdict on one label or one step. `id` is chosen by the sender: sending it twice saves it once."""

    id = serializers.UUIDField()
    label = serializers.IntegerField(  # type: ignore[assignment]  # a field called as an attribute of every field
        required=False, allow_null=True, default=None
    )
    step = serializers.IntegerField(required=False, allow_null=True, default=None)
    verdict = serializers.ChoiceField(choices=Audit.Verdict.choices)
    choice = serializers.ChoiceField(choices=Audit.Choice.choices, required=False, allow_blank=True, default="")
    critique_fair = serializers.BooleanField(required=False, allow_null=True, default=None)
    revision_better = serializers.BooleanField(required=False, allow_null=True, default=None)
    principle_fits = serializers.BooleanField(required=False, allow_null=True, default=None)
    change_needed = serializers.BooleanField(required=False, allow_null=True, default=None)
    blind = serializers.BooleanField(required=False, default=False)
    confidence = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=4)
    reason = serializers.ChoiceField(choices=Audit.Reason.choices, required=False, allow_blank=True, default="")
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_COMMENT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["label"] is None) == (attrs["step"] is None):
            raise serializers.ValidationError("Name either a label or a step.")
        return attrs


class AuditFilter(Filters):
    label = filters.NumberFilter(field_name="label_id")
    step = filters.NumberFilter(field_name="step_id")
    auditor = filters.NumberFilter(field_name="auditor_id")
    verdict = filters.ChoiceFilter(choices=Audit.Verdict.choices)


class Audits(Reading[Audit]):
    """Verdicts of people on labels and steps; not on those you have yet to judge blind. POST gives one."""

    queryset = Audit.objects.all()
    serializer_class = AuditSerializer
    filterset_class = AuditFilter
    cursor_ordering = ("-created_at", "-id")
    hides = (("label", "label"), ("step", "step"))

    @extend_schema(request=VerdictSerializer, responses={201: AuditSerializer}, summary="Give a verdict")
    def create(self, request: Request) -> Response:
        access.require_auditor(request.user)
        said = checked(VerdictSerializer(data=request.data))
        audit_id, label, step = said.pop("id"), said.pop("label"), said.pop("step")
        item: AILabel | TraceStep = (
            access.get_label_to_audit_for(request.user, label)
            if label is not None
            else access.get_step_to_audit_for(request.user, step)
        )
        if item in access.hides_judgement(request.user, [item]):
            raise Conflict("You have yet to judge this blind, in a queue. Judge it there.")
        try:
            audit = record_audit(user=person_of(request), audit_id=audit_id, item=item, said=Verdict(**said))
        except AuditRefused as error:
            raise ValidationError({error.field or "detail": [str(error)]}) from error
        return Response(self.get_serializer(audit).data, status=status.HTTP_201_CREATED)
