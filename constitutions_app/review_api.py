"""The API of review: reading is broad, everything written goes through its verb, refusals are 409 with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions, converters
from constitutions_app.access import (
    can_discuss,
    get_discussable_draft_for,
    get_draft_for,
    get_editable_draft_for,
    get_suggestion_for,
    get_thread_for,
    has_role,
    may_approve,
)
from constitutions_app.actions.reviewing import MAX_WORDS
from constitutions_app.forms import MAX_TEXT
from constitutions_app.ledger import name_of
from constitutions_app.models import Draft, Thread, Verdict
from constitutions_app.review_page import Talk, talks_of, threads_of
from constitutions_app.reviewing import ReviewState, open_review, state_of_review

SLUG = OpenApiParameter(
    "slug", OpenApiTypes.STR, OpenApiParameter.PATH, description='The constitution\'s address, or "address@branch".'
)
ROW = OpenApiParameter("pk", OpenApiTypes.INT, OpenApiParameter.PATH)
THREADS_SHOWN = 500


class HasRole(BasePermission):
    """Signed in, and with any role."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_role(request.user)


class RefusedSerializer(serializers.Serializer[Any]):
    """Why nothing was done."""

    detail = serializers.CharField()


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


class SuggestionSerializer(serializers.Serializer[Any]):
    """Other words for a thread's range."""

    id = serializers.IntegerField(source="pk")
    original = serializers.CharField()
    replacement = serializers.CharField()
    state = serializers.CharField()


class CommentSerializer(serializers.Serializer[Any]):
    """One contribution to a thread."""

    author = serializers.SerializerMethodField()
    body = serializers.CharField(source="comment.body")
    at = serializers.DateTimeField(source="comment.created_at")
    suggestion = SuggestionSerializer(allow_null=True)

    def get_author(self, line: Any) -> str:
        return name_of(line.comment.author)


class ThreadSerializer(serializers.Serializer[Any]):
    """A thread with the place of its words now. `start` and `end` count Unicode code points; `lost`: they are gone."""

    id = serializers.IntegerField(source="thread.pk")
    principle = serializers.CharField(source="thread.key")
    field = serializers.CharField()
    quote = serializers.CharField(source="standing.quote")
    start = serializers.IntegerField(source="standing.start")
    end = serializers.IntegerField(source="standing.end")
    lost = serializers.BooleanField(source="standing.lost")
    resolved = serializers.SerializerMethodField()
    comments = CommentSerializer(many=True, source="lines")

    def get_resolved(self, talk: Talk) -> bool:
        return talk.thread.resolved_at is not None


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


class ReplySerializer(serializers.Serializer[Any]):
    """A contribution; `replacement` suggests other words for the thread's range, null suggests none."""

    body = serializers.CharField(max_length=MAX_WORDS, allow_blank=True, default="")
    replacement = serializers.CharField(max_length=MAX_TEXT, allow_blank=True, allow_null=True, default=None)


class NewThreadSerializer(ReplySerializer):
    """A new thread on `quote` in one text of a principle (empty: of the draft). `start` counts code points."""

    principle = serializers.CharField(max_length=80, allow_blank=True, default="")
    field = serializers.CharField(max_length=40, allow_blank=True, default="")
    quote = serializers.CharField(max_length=MAX_TEXT, allow_blank=True, default="")
    start = serializers.IntegerField(min_value=0, max_value=10**7, allow_null=True, default=None)


class ApplySerializer(serializers.Serializer[Any]):
    """Nothing: apply as suggested. `words` and `seen`: apply these words if the place still reads `seen`."""

    words = serializers.CharField(max_length=MAX_TEXT, allow_blank=True, allow_null=True, default=None)
    seen = serializers.CharField(max_length=MAX_TEXT, allow_blank=True, allow_null=True, default=None)


class ClashSerializer(serializers.Serializer[Any]):
    """Why a suggestion was not applied: its words as they were, as they are ("" when gone), and as suggested."""

    detail = serializers.CharField()
    original = serializers.CharField()
    now = serializers.CharField()
    suggested = serializers.CharField()


class OfReview(APIView):
    """A draft's review: read it, or ask for one."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG], responses=ReviewSerializer, operation_id="review")
    def get(self, request: Request, slug: str) -> Response:
        return _review(get_draft_for(request.user, slug))

    @extend_schema(
        parameters=[SLUG],
        request=AskSerializer,
        responses={201: ReviewSerializer, 409: RefusedSerializer},
        operation_id="request_review",
    )
    def post(self, request: Request, slug: str) -> Response:
        draft = get_editable_draft_for(request.user, slug)
        asked = _read(AskSerializer, request)
        refused = _refusal(lambda: actions.request_review(user=_person(request), draft=draft, **asked))
        return refused or _review(draft, status.HTTP_201_CREATED)


class OfVerdicts(APIView):
    """Say a verdict on a draft in review."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[SLUG],
        request=ReviewVerdictSerializer,
        responses={201: ReviewSerializer, 409: RefusedSerializer},
        operation_id="give_verdict",
    )
    def post(self, request: Request, slug: str) -> Response:
        draft = get_discussable_draft_for(request.user, slug)
        said = _read(ReviewVerdictSerializer, request)
        review = open_review(draft)
        if review is None:
            return Response({"detail": "No review is open."}, status=status.HTTP_409_CONFLICT)
        review.draft = draft
        word = Verdict.Word(said["word"])
        refused = _refusal(
            lambda: actions.give_verdict(
                user=_person(request), review=review, word=word, note=said["note"], expected=said["revision"]
            )
        )
        return refused or _review(draft, status.HTTP_201_CREATED)


class OfThreads(APIView):
    """The threads of a draft, oldest first, or a new one."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG], responses=ThreadSerializer(many=True), operation_id="threads")
    def get(self, request: Request, slug: str) -> Response:
        draft = get_draft_for(request.user, slug)
        talks = talks_of(threads_of(draft)[:THREADS_SHOWN], draft.to_core())
        return Response(ThreadSerializer(talks, many=True).data)

    @extend_schema(
        parameters=[SLUG],
        request=NewThreadSerializer,
        responses={201: ThreadSerializer, 409: RefusedSerializer},
        operation_id="open_thread",
    )
    def post(self, request: Request, slug: str) -> Response:
        draft = get_discussable_draft_for(request.user, slug)
        said = _read(NewThreadSerializer, request)
        said["key"] = said.pop("principle")
        try:
            thread = actions.open_thread(user=_person(request), draft=draft, **said)
        except actions.Refused as refusal:
            return Response({"detail": str(refusal)}, status=status.HTTP_409_CONFLICT)
        return _thread(draft, thread, status.HTTP_201_CREATED)


class OneThread(APIView):
    """One thread, and answers in it."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[SLUG, ROW], responses=ThreadSerializer, operation_id="thread")
    def get(self, request: Request, slug: str, pk: int) -> Response:
        thread = get_thread_for(request.user, slug, pk)
        return _thread(thread.draft, thread)

    @extend_schema(
        parameters=[SLUG, ROW],
        request=ReplySerializer,
        responses={201: ThreadSerializer, 409: RefusedSerializer},
        operation_id="reply",
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        thread = _discussable(request, slug, pk)
        said = _read(ReplySerializer, request)
        refused = _refusal(lambda: actions.reply(user=_person(request), thread=thread, **said))
        return refused or _thread(thread.draft, thread, status.HTTP_201_CREATED)


class Settle(APIView):
    """Resolves or reopens a thread."""

    permission_classes = [HasRole]
    verb: Callable[..., object] = actions.resolve_thread

    @extend_schema(parameters=[SLUG, ROW], request=None, responses={200: ThreadSerializer, 409: RefusedSerializer})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        thread = _discussable(request, slug, pk)
        refused = _refusal(lambda: type(self).verb(user=_person(request), thread=thread))
        return refused or _thread(thread.draft, thread)


class Resolve(Settle):
    """Says that a thread is settled."""


class Reopen(Settle):
    """Says that a thread is not settled after all."""

    verb = actions.reopen_thread


class Apply(APIView):
    """Puts suggested words into the draft, with credit; 409 with all three states when its words changed meanwhile."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[SLUG, ROW],
        request=ApplySerializer,
        responses={200: SuggestionSerializer, 409: ClashSerializer},
        operation_id="apply_suggestion",
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        get_editable_draft_for(request.user, slug)
        suggestion = get_suggestion_for(request.user, slug, pk)
        asked = _read(ApplySerializer, request)
        try:
            done = actions.apply_suggestion(user=_person(request), suggestion=suggestion, **asked)
        except actions.Refused as refusal:
            return Response({"detail": str(refusal)}, status=status.HTTP_409_CONFLICT)
        except actions.WordsChanged as clash:
            now = "" if clash.standing.lost else clash.standing.quote
            states = {"original": suggestion.original, "now": now, "suggested": suggestion.replacement}
            return Response({"detail": str(clash), **states}, status=status.HTTP_409_CONFLICT)
        return Response(SuggestionSerializer(done).data)


class Decline(APIView):
    """Says that suggested words are not wanted: writers, and whoever suggested them."""

    permission_classes = [HasRole]

    @extend_schema(
        parameters=[SLUG, ROW],
        request=None,
        responses={200: SuggestionSerializer, 409: RefusedSerializer},
        operation_id="decline_suggestion",
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        suggestion = get_suggestion_for(request.user, slug, pk)
        if suggestion.comment.author_id != _person(request).pk or not can_discuss(request.user):
            get_editable_draft_for(request.user, slug)
        refused = _refusal(lambda: actions.decline_suggestion(user=_person(request), suggestion=suggestion))
        if refused:
            return refused
        suggestion.refresh_from_db()
        return Response(SuggestionSerializer(suggestion).data)


def _read(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    asked = kind(data=request.data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def _refusal(verb: Callable[[], object]) -> Response | None:
    """Call the verb; 409 with its sentence when it refuses, None when it was done."""
    try:
        verb()
    except actions.Refused as refusal:
        return Response({"detail": str(refusal)}, status=status.HTTP_409_CONFLICT)
    return None


def _review(draft: Draft, code: int = status.HTTP_200_OK) -> Response:
    state = state_of_review(draft)
    return Response(ReviewSerializer(state, context={"revision": draft.revision}).data, status=code)


def _thread(draft: Draft, thread: Thread, code: int = status.HTTP_200_OK) -> Response:
    (talk,) = talks_of(threads_of(draft).filter(pk=thread.pk), draft.to_core())
    return Response(ThreadSerializer(talk).data, status=code)


def _discussable(request: Request, slug: str, pk: int) -> Thread:
    """The thread, for answering and settling. Raises PermissionDenied for those who only read."""
    thread = get_thread_for(request.user, slug, pk)
    if not can_discuss(request.user):
        raise PermissionDenied("Your role reads reviews and does not take part in them.")
    return thread


def _person(request: Request) -> User:
    """Who asks; the permission classes have let in nobody else."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


converters.register()
urlpatterns = [
    path("constitutions/<place:slug>/review/", OfReview.as_view(), name="api-review"),
    path("constitutions/<place:slug>/review/verdicts/", OfVerdicts.as_view(), name="api-verdicts"),
    path("constitutions/<place:slug>/threads/", OfThreads.as_view(), name="api-threads"),
    path("constitutions/<place:slug>/threads/<number:pk>/", OneThread.as_view(), name="api-thread"),
    path("constitutions/<place:slug>/threads/<number:pk>/resolve/", Resolve.as_view(), name="api-resolve"),
    path("constitutions/<place:slug>/threads/<number:pk>/reopen/", Reopen.as_view(), name="api-reopen"),
    path("constitutions/<place:slug>/suggestions/<number:pk>/apply/", Apply.as_view(), name="api-apply"),
    path(
        "constitutions/<place:slug>/suggestions/<number:pk>/decline/", Decline.as_view(), name="api-decline-suggestion"
    ),
]
