"""The explorer: everything that was judged, found by what is true of it, with the filters and orders of its page.

The address is the page's: what follows `?` there can be asked here. Items that the caller has yet to judge blind are
left out, as in every list of this API.
"""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.api.asking import HasRole
from training_app.api.audits import Audits, AuditSerializer
from training_app.api.labels import Comparisons, ComparisonSerializer, Labels, LabelSerializer
from training_app.api.reading import Reading, link_to
from training_app.api.traces import Steps, StepSerializer
from training_app.explorer.facets import GROUPS, counted_for, groups_for
from training_app.explorer.filters import KINDS, SORTS, WORDS, Filters
from training_app.explorer.finding import PAGE_SIZE, find

LISTS: dict[str, type[Reading[Any]]] = {"label": Labels, "comparison": Comparisons, "step": Steps, "audit": Audits}
QUESTION = [
    OpenApiParameter("kind", OpenApiTypes.STR, enum=list(KINDS), description="What is looked for; AI labels usually."),
    *(
        OpenApiParameter(
            name,
            OpenApiTypes.STR,
            description=f"{words}, as on the explorer's page.",
            enum=sorted({one for sorts in SORTS.values() for one in sorts}) if name == "sort" else None,
        )
        for name, words in WORDS.items()
    ),
]


class CountSerializer(serializers.Serializer[Any]):
    """How many items one more filter would leave: exact to a thousand, then "1,000+"."""

    words = serializers.CharField()
    count = serializers.CharField()
    query = serializers.CharField(help_text="The question with that filter.")
    is_chosen = serializers.BooleanField()


class Explore(APIView):
    """What fits a question, page by page, from any depth at the same cost."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[
            *QUESTION,
            OpenApiParameter("after", OpenApiTypes.STR, description="A place, as `next` names it."),
            OpenApiParameter("before", OpenApiTypes.STR, description="A place, as `previous` names it."),
            OpenApiParameter("page_size", OpenApiTypes.INT),
        ],
        responses=inline_serializer(
            "Explored",
            {
                "next": serializers.URLField(allow_null=True),
                "previous": serializers.URLField(allow_null=True),
                "looked_back": serializers.BooleanField(
                    help_text="Whether a search stopped at the newest thousand matches; `next` goes on behind them."
                ),
                "results": PolymorphicProxySerializer(
                    "ExploredItem",
                    [LabelSerializer, ComparisonSerializer, StepSerializer, AuditSerializer],
                    resource_type_field_name=None,
                    many=True,
                ),
            },
        ),
        operation_id="explore",
        summary="Find items",
    )
    def get(self, request: Request) -> Response:
        asked = question_of(request.query_params)
        places = {name: request.query_params.get(name, "") for name in ("after", "before")}
        of_kind = LISTS[asked.kind](request=request, action="list", format_kwarg=None)
        pages = of_kind.paginator
        size = pages.get_page_size(request) if isinstance(pages, CursorPagination) else None
        page = find(asked, **places, size=size or PAGE_SIZE, user=request.user)
        rows = of_kind.get_queryset().in_bulk(page.items)
        shown = [rows[pk] for pk in page.items if pk in rows]
        return Response(
            {
                "next": link_to(request, after=page.after),
                "previous": link_to(request, before=page.before),
                "looked_back": page.looked_back,
                "results": of_kind.get_serializer(shown, many=True).data,
            }
        )


class ExploreCounts(APIView):
    """How many items fit with one more filter."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[
            *QUESTION,
            OpenApiParameter("count", OpenApiTypes.STR, enum=list(GROUPS), required=True, description="What to count."),
        ],
        responses=inline_serializer(
            "ExploredCounts",
            {
                "withheld": serializers.BooleanField(
                    help_text="Whether these counts are kept back while items wait for your own blind choice."
                ),
                "counts": CountSerializer(many=True),
            },
        ),
        operation_id="explore_counts",
        summary="Count items by one filter",
    )
    def get(self, request: Request) -> Response:
        asked = question_of(request.query_params)
        name = request.query_params.get("count", "")
        if name not in GROUPS or GROUPS[name] not in groups_for(asked):
            raise ValidationError({"count": [f"Nothing is counted by {name[:40]!r} among items of this kind."]})
        counts = counted_for(asked, name, request.user)
        return Response({"withheld": counts is None, "counts": CountSerializer(counts or [], many=True).data})


def question_of(query: QueryDict) -> Filters:
    """What an address asks. Raises ValidationError where a filter is not understood; the page tells it and goes on."""
    asked = Filters.from_query(query)
    if asked.problems:
        raise ValidationError({"detail": list(asked.problems)})
    return asked
