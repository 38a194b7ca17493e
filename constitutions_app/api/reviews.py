"""A draft's review: what publishing waits for, asking for a review, and verdicts."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import get_discussable_draft_for, get_draft_for, get_editable_draft_for, may_approve
from constitutions_app.actions.reviewing import MAX_WORDS
from constitutions_app.api.addresses import PLACE
from constitutions_app.api.asking import Conflict, HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.ledger import name_of
from constitutions_app.models import Draft, Verdict
from constitutions_app.reviewing import ReviewState, open_review, state_of_review


class SaidSerializer(serializers.Serializer[Any]):
    """A verdict; `void` says why it does not count (any more), empty while it does."""

    person = serializers.SerializerMethodField()
    word = serializers.ChoiceField(choices=Verdict.Word.choices, source="verdict.word")
    note = serializers.CharField(source="verdict.note")
    digest = serializers.CharField(source="verdict.digest")
    at = serializers.DateTimeField(source="verdict.created_at")
    void = serializers.CharField()

    def get_person(self, said: Any) -> str:
        return name_of(said.verdict.person)


class RequirementSerializer(serializers.Serializer[Any]):
    """One line of the checklist before publishing."""

    met = serializers.BooleanField()
    words = serializers.CharField()


class ReviewSerializer(serializers.Serializer[Any]):
    """A draft's open review (`review` null: none), its verdicts, and what publishing still waits for."""

    review = serializers.IntegerField(source="review.pk", allow_null=True, default=None)
    requested_by = serializers.SerializerMethodField()
    draft_revision = serializers.SerializerMethodField()
    verdicts = SaidSerializer(many=True, source="said")
    requirements = RequirementSerializer(many=True)

    def get_requested_by(self, state: ReviewState) -> str:
        return name_of(state.review.requested_by) if state.review else ""

    def get_draft_revision(self, state: ReviewState) -> int:
        return int(self.context["revision"])


class AskSerializer(serializers.Serializer[Any]):
    """A request for review: what to look at, and the sign-in names of who is asked (none: every reviewer)."""

    note = serializers.CharField(max_length=MAX_WORDS, allow_blank=True, default="")
    reviewers = serializers.ListField(child=serializers.CharField(max_length=150), default=list, max_length=50)

    def validate_reviewers(self, names: list[str]) -> list[User]:
        found = {person.get_username(): person for person in User.objects.filter(username__in=names)}
        able = may_approve(person.pk for person in found.values())
        if strange := [name for name in names if name not in found or found[name].pk not in able]:
            raise serializers.ValidationError(f"{strange[0]!r} is no reviewer.")
        return list(found.values())


class ReviewVerdictSerializer(serializers.Serializer[Any]):
    """A verdict on the draft at `revision`, as it was read."""

    word = serializers.ChoiceField(choices=Verdict.Word.choices)
    note = serializers.CharField(max_length=MAX_WORDS, allow_blank=True, default="")
    revision = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class OfReview(APIView):
    """A draft's review: read it, or ask for one."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[PLACE], responses=ReviewSerializer, operation_id="review")
    def get(self, request: Request, slug: str) -> Response:
        return _review(get_draft_for(request.user, slug))

    @extend_schema(
        parameters=[PLACE],
        request=AskSerializer,
        responses={201: ReviewSerializer, 409: RefusalSerializer},
        operation_id="request_review",
    )
    def post(self, request: Request, slug: str) -> Response:
        draft = get_editable_draft_for(request.user, slug)
        asked = checked(AskSerializer(data=request.data))
        with conflicts_told():
            actions.request_review(user=person_of(request), draft=draft, **asked)
        return _review(draft, status.HTTP_201_CREATED)


class OfVerdicts(APIView):
    """Say a verdict on a draft in review."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[PLACE],
        request=ReviewVerdictSerializer,
        responses={201: ReviewSerializer, 409: RefusalSerializer},
        operation_id="give_verdict",
    )
    def post(self, request: Request, slug: str) -> Response:
        draft = get_discussable_draft_for(request.user, slug)
        said = checked(ReviewVerdictSerializer(data=request.data))
        review = open_review(draft)
        if review is None:
            raise Conflict("No review is open.")
        review.draft = draft
        word = Verdict.Word(said["word"])
        with conflicts_told():
            actions.give_verdict(
                user=person_of(request), review=review, word=word, note=said["note"], expected=said["revision"]
            )
        return _review(draft, status.HTTP_201_CREATED)


def _review(draft: Draft, code: int = status.HTTP_200_OK) -> Response:
    state = state_of_review(draft)
    return Response(ReviewSerializer(state, context={"revision": draft.revision}).data, status=code)
