"""Second opinions: where people disagree, who had the last word, and what an item's verdicts come to.

What the caller has yet to judge blind is left out of every list, and answers 409 where it is asked for by its key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import django_filters as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.api.asking import Conflict, HasRole, RefusalSerializer, checked, person_of
from training_app import access
from training_app.actions import adjudicate
from training_app.actions.adjudicate import LONGEST_NOTE
from training_app.api.audits import AuditSerializer
from training_app.api.reading import Filters, Reading, link_to
from training_app.disagreements import Disputed, decided_ones, open_ones
from training_app.models import Adjudication, AILabel, Audit, TraceStep
from training_app.refusals import AuditRefused
from training_app.verdicts import Final, Source, final_of, standing

YET_TO_JUDGE = "You have yet to judge this blind, in a queue. Judge it there."
OUTCOMES = (*Audit.Choice.values, Audit.Verdict.AGREE.value, Audit.Verdict.OVERRIDE.value)


class AdjudicationSerializer(serializers.ModelSerializer[Adjudication]):
    class Meta:
        model = Adjudication
        fields = ("id", "adjudicator", "label", "step", "verdict", "choice", "note", "created_at")
        read_only_fields = fields


class LastWordSerializer(serializers.Serializer[Any]):
    """The last word on one label or one step. `id` is chosen by the sender: sending it twice saves it once."""

    id = serializers.UUIDField()
    label = serializers.IntegerField(  # type: ignore[assignment]  # a field called as an attribute of every field
        required=False, allow_null=True, default=None
    )
    step = serializers.IntegerField(required=False, allow_null=True, default=None)
    outcome = serializers.ChoiceField(
        choices=OUTCOMES, help_text="a, b or neither for a label; agree or override for a step."
    )
    note = serializers.CharField(max_length=LONGEST_NOTE)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["label"] is None) == (attrs["step"] is None):
            raise serializers.ValidationError("Name either a label or a step.")
        return attrs


class FinalSerializer(serializers.Serializer[Final]):
    """What people's verdicts on an item come to, and from where."""

    verdict = serializers.CharField(help_text="agree or override, towards the AI.")
    choice = serializers.CharField(help_text="Of an override of a label; else empty.")
    source: Any = serializers.ChoiceField(choices=[one.value for one in Source])
    backing = serializers.IntegerField(help_text="How many people name this outcome, an adjudicator among them.")
    audit = serializers.UUIDField(source="audit.pk", allow_null=True, default=None)
    adjudication = serializers.UUIDField(source="adjudication.pk", allow_null=True, default=None)


class OutcomeSerializer(serializers.Serializer[Any]):
    """An item with the verdicts that stand on it; `final` is null where nobody has judged it."""

    label = serializers.IntegerField(allow_null=True)  # type: ignore[assignment]  # as above
    step = serializers.IntegerField(allow_null=True)
    final = FinalSerializer(allow_null=True)
    standing = AuditSerializer(many=True)
    adjudications = AdjudicationSerializer(many=True)


class DisputedSerializer(OutcomeSerializer):
    """An item on which people disagree. `agreement`: the share of pairs of people that say the same."""

    agreement = serializers.FloatField(min_value=0, max_value=1)


class AdjudicationFilter(Filters):
    label = filters.NumberFilter(field_name="label_id")
    step = filters.NumberFilter(field_name="step_id")
    adjudicator = filters.NumberFilter(field_name="adjudicator_id")
    run = filters.UUIDFilter(field_name="label__run_id", label="Labels of this run")


class Adjudications(Reading[Adjudication]):
    """Last words; not on what you have yet to judge blind. POST says one."""

    queryset = Adjudication.objects.all()
    serializer_class = AdjudicationSerializer
    filterset_class = AdjudicationFilter
    cursor_ordering = ("-created_at", "-id")
    hides = (("label", "label"), ("step", "step"))

    @extend_schema(
        request=LastWordSerializer, responses={201: AdjudicationSerializer}, summary="Have the last word on an item"
    )
    def create(self, request: Request) -> Response:
        said = checked(LastWordSerializer(data=request.data))
        adjudication_id, label, step = said.pop("id"), said.pop("label"), said.pop("step")
        item: AILabel | TraceStep = (
            access.get_label_to_adjudicate_for(request.user, label)
            if label is not None
            else access.get_step_to_adjudicate_for(request.user, step)
        )
        try:
            made = adjudicate(user=person_of(request), adjudication_id=adjudication_id, item=item, **said)
        except AuditRefused as error:
            raise ValidationError({error.field or "detail": [str(error)]}) from error
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)


class Disagreements(APIView):
    """Items on which people disagree, the widest disagreement first; or those that somebody has decided."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[
            OpenApiParameter("kind", OpenApiTypes.STR, enum=["label", "step"]),
            OpenApiParameter("state", OpenApiTypes.STR, enum=["open", "decided"]),
            OpenApiParameter("after", OpenApiTypes.STR, description="A place, as `next` names it."),
        ],
        responses=inline_serializer(
            "DisputedItems",
            {"next": serializers.URLField(allow_null=True), "results": DisputedSerializer(many=True)},
        ),
        operation_id="disagreements",
        summary="Where people disagree",
    )
    def get(self, request: Request) -> Response:
        kind = request.query_params.get("kind", "label")
        if kind not in ("label", "step"):
            raise ValidationError({"kind": ["People judge labels and steps."]})
        state = request.query_params.get("state", "open")
        if state not in ("open", "decided"):
            raise ValidationError({"state": ["A disagreement is open or decided."]})
        look = decided_ones if state == "decided" else open_ones
        found = look(kind, request.user, after=request.query_params.get("after", ""))
        shown = DisputedSerializer([_as_disputed(one) for one in found.items], many=True).data
        return Response({"next": link_to(request, after=found.after), "results": shown})


class FinalOfLabel(APIView):
    """What people's verdicts on one label come to."""

    permission_classes = [HasRole]

    @extend_schema(
        responses={200: OutcomeSerializer, 409: RefusalSerializer},
        operation_id="labels_final",
        summary="The final label of an AI label",
    )
    def get(self, request: Request, pk: int) -> Response:
        return _final(request, access.get_label_for(request.user, pk))


class FinalOfStep(APIView):
    """What people's verdicts on one step come to."""

    permission_classes = [HasRole]

    @extend_schema(
        responses={200: OutcomeSerializer, 409: RefusalSerializer},
        operation_id="steps_final",
        summary="The final verdict on a step",
    )
    def get(self, request: Request, pk: int) -> Response:
        return _final(request, access.get_step_for(request.user, pk))


def _final(request: Request, item: AILabel | TraceStep) -> Response:
    if item in access.hides_judgement(request.user, [item]):
        raise Conflict(YET_TO_JUDGE)
    audits = list(item.audits.order_by("created_at", "pk"))
    last = list(item.adjudications.order_by("created_at", "pk"))
    return Response(OutcomeSerializer(_outcome(item, standing(audits), last, final_of(audits, last))).data)


def _outcome(
    item: AILabel | TraceStep, said: Iterable[Audit], last: Iterable[Adjudication], final: Final | None
) -> dict[str, Any]:
    label, step = (item.pk, None) if isinstance(item, AILabel) else (None, item.pk)
    return {"label": label, "step": step, "final": final, "standing": said, "adjudications": last}


def _as_disputed(one: Disputed) -> dict[str, Any]:
    return _outcome(one.item, one.said, one.adjudications, one.final) | {"agreement": one.agreement}
