"""The numbers over audits: agreement with intervals by principle, judge, tag, auditor and week, and calibration.

The scope is asked as on the page. Figures are computed at once where there is little to read, else as a worker left
them; POST asks for newer ones. Whoever has yet to judge something is told no figure of a few items (numbers.telling).
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.api.asking import HasRole
from training_app.actions import ask_for_numbers
from training_app.numbers.keeping import numbers_of
from training_app.numbers.scope import Scope
from training_app.numbers.telling import scope_for

SCOPE = [
    OpenApiParameter("version", OpenApiTypes.INT, description="Primary key of a published version."),
    OpenApiParameter("principle", OpenApiTypes.INT, description="Primary key of a principle at its version."),
    OpenApiParameter("key", OpenApiTypes.STR, description="A principle's stable id, at whichever version."),
    OpenApiParameter("judge", OpenApiTypes.INT),
    OpenApiParameter("run", OpenApiTypes.INT, description="A run's number."),
    OpenApiParameter("tag", OpenApiTypes.STR, description="A tag of the prompt."),
    OpenApiParameter("auditor", OpenApiTypes.INT),
    OpenApiParameter("since", OpenApiTypes.DATE, description="Day of the verdicts, UTC, included."),
    OpenApiParameter("until", OpenApiTypes.DATE, description="Day of the verdicts, UTC, included."),
]


class FigureSerializer(serializers.Serializer[Any]):
    """One figure with its 95% interval; `note` says why something is missing."""

    value = serializers.FloatField(allow_null=True)
    interval: Any = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2, allow_null=True)
    n = serializers.IntegerField()
    note = serializers.CharField(allow_blank=True)
    more = serializers.IntegerField(
        allow_null=True, help_text="About how many more items would make the interval ±0.1 wide."
    )


class AgreementSerializer(serializers.Serializer[Any]):
    """Agreement beyond chance. Two named raters have `cohen`, any number of people `fleiss`."""

    items = serializers.IntegerField()
    ratings = serializers.IntegerField()
    raw = FigureSerializer()
    cohen = FigureSerializer(required=False)
    fleiss = FigureSerializer(required=False)
    alpha = FigureSerializer()
    ac1 = FigureSerializer()


class GroupSerializer(serializers.Serializer[Any]):
    """Items that share something: how many people judged and overrode, and how far everybody agrees."""

    judged = serializers.IntegerField()
    overridden = FigureSerializer()
    judge = AgreementSerializer(help_text="Judge and people, on labels.")
    people = AgreementSerializer(help_text="Among people, on labels.")
    people_on_steps = AgreementSerializer()


class CitedSerializer(serializers.Serializer[Any]):
    """A principle at its version; `pk` is null for all principles at once."""

    pk = serializers.IntegerField(allow_null=True)
    title = serializers.CharField()
    key = serializers.CharField(required=False)
    slug = serializers.CharField(required=False)
    constitution = serializers.CharField(required=False)
    number = serializers.IntegerField(required=False)


class PrincipleRecordSerializer(CitedSerializer, GroupSerializer):
    """A principle's record; `bad`: people surely override more than one in five of the items judged under it."""

    labels = serializers.IntegerField()
    steps = serializers.IntegerField()
    same_position = FigureSerializer()
    irrelevant = FigureSerializer()
    bad = serializers.BooleanField()


class PairSerializer(serializers.Serializer[Any]):
    """Two principles on the same comparisons: how often they choose opposite responses, and kappa between them."""

    one = CitedSerializer()
    other = CitedSerializer()
    n = serializers.IntegerField()
    alike = serializers.BooleanField()
    opposed = FigureSerializer()
    kappa = FigureSerializer()


class MeasuredSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    file = serializers.CharField()
    format = serializers.CharField()
    right = FigureSerializer()
    ece = serializers.FloatField(allow_null=True)
    brier = serializers.FloatField(allow_null=True)


class JudgeRecordSerializer(GroupSerializer):
    """A judge against people here, against human comparisons it labelled, and as it was measured."""

    pk = serializers.IntegerField()
    name = serializers.CharField()
    digest = serializers.CharField()
    human = AgreementSerializer()
    measured = MeasuredSerializer(many=True)


class TagRecordSerializer(GroupSerializer):
    name = serializers.CharField()


class AuditorRecordSerializer(serializers.Serializer[Any]):
    """A person against the judge, and against the others who judged the same labels."""

    pk = serializers.IntegerField()
    name = serializers.CharField()
    verdicts = serializers.IntegerField()
    overrides = FigureSerializer()
    judge = AgreementSerializer()
    others = AgreementSerializer()


class WeekSerializer(serializers.Serializer[Any]):
    week = serializers.DateField(help_text="Its Monday.")
    verdicts = serializers.IntegerField()
    overridden = FigureSerializer()


class BinSerializer(serializers.Serializer[Any]):
    low = serializers.FloatField()
    high = serializers.FloatField()
    mean = serializers.FloatField()
    chosen = FigureSerializer()


class CalibrationSerializer(serializers.Serializer[Any]):
    """p(A) against what people chose."""

    bins = BinSerializer(many=True)
    ece = FigureSerializer()
    brier = FigureSerializer()


class DriftSerializer(FigureSerializer):
    """What is new here is left out of figures that were kept before it was computed."""

    newer = FigureSerializer(required=False)
    older = FigureSerializer(required=False)
    p = serializers.FloatField(
        required=False, allow_null=True, help_text="Of a chi-squared test that nothing drifted; null where undefined."
    )
    words = serializers.CharField(required=False, help_text="Whether it drifted, or why that cannot be said.")


class FiguresSerializer(serializers.Serializer[Any]):
    """All figures of a scope; groups come largest first, at most sixty of a kind."""

    whole = GroupSerializer()
    calibration = CalibrationSerializer()
    weeks = WeekSerializer(many=True)
    drift = DriftSerializer(help_text="Override rate of the newest four weeks less that before.")
    principles = PrincipleRecordSerializer(many=True)
    pairs = PairSerializer(many=True)
    never_cited = CitedSerializer(many=True)
    judges = JudgeRecordSerializer(many=True)
    tags = TagRecordSerializer(many=True)
    auditors = AuditorRecordSerializer(many=True)


class NumbersSerializer(serializers.Serializer[Any]):
    """The figures and when they were computed; `data` is null before that, and where they are withheld."""

    scope = serializers.CharField(help_text="As it was understood.")
    audits = serializers.IntegerField(help_text="Standing verdicts they rest on.")
    at = serializers.DateTimeField(allow_null=True)
    is_live = serializers.BooleanField(help_text="Computed for this answer.")
    is_waiting = serializers.BooleanField(help_text="Newer ones were asked for.")
    is_withheld = serializers.BooleanField(
        help_text="A queue was made since these were computed; ask for newer ones, which leave its items out."
    )
    is_blind = serializers.BooleanField(
        help_text="Whether what queues can still give is left out, because some of it waits for your blind choice."
    )
    data = FiguresSerializer(allow_null=True)  # type: ignore[assignment]  # a field called as a property of every serializer


class OfNumbers(APIView):
    """The figures of a scope; POST asks a worker for newer ones."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=SCOPE, responses=NumbersSerializer, operation_id="numbers", summary="Agreement in figures"
    )
    def get(self, request: Request) -> Response:
        return Response(_figures(request))

    @extend_schema(
        parameters=SCOPE,
        request=None,
        responses={202: NumbersSerializer},
        operation_id="numbers_refresh",
        summary="Ask for newer figures",
    )
    def post(self, request: Request) -> Response:
        ask_for_numbers(scope=scope_for(_scope(request), request.user))
        return Response(_figures(request), status=status.HTTP_202_ACCEPTED)


def _scope(request: Request) -> Scope:
    """What is asked. Raises ValidationError for a value that cannot be read: the page would leave it out."""
    scope = Scope.from_query(request.query_params)
    given = [one.name for one in SCOPE if request.query_params.get(one.name, "").strip()]
    if unread := [name for name in given if name not in scope.asked]:
        raise ValidationError({name: ["This cannot be read."] for name in unread})
    return scope


def _figures(request: Request) -> Any:
    scope = _scope(request)
    found = numbers_of(scope_for(scope, request.user))
    names = ("audits", "at", "is_live", "is_waiting", "is_withheld", "is_blind", "data")
    return NumbersSerializer({"scope": scope.to_query()} | {name: getattr(found, name) for name in names}).data
