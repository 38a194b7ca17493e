"""Threads on a draft: reading, opening, answering and settling them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import can_discuss, get_discussable_draft_for, get_draft_for, get_thread_for
from constitutions_app.actions.drafting import MAX_TEXT
from constitutions_app.actions.reviewing import MAX_WORDS
from constitutions_app.api.addresses import PLACE, ROW
from constitutions_app.api.asking import HasRole, RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.ledger import name_of
from constitutions_app.models import Draft, Thread
from constitutions_app.review_page import Talk, talks_of, threads_of

THREADS_SHOWN = 500


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


class OfThreads(APIView):
    """The threads of a draft, oldest first, or a new one."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[PLACE], responses=ThreadSerializer(many=True), operation_id="threads")
    def get(self, request: Request, slug: str) -> Response:
        draft = get_draft_for(request.user, slug)
        talks = talks_of(threads_of(draft)[:THREADS_SHOWN], draft.to_core())
        return Response(ThreadSerializer(talks, many=True).data)

    @extend_schema(
        parameters=[PLACE],
        request=NewThreadSerializer,
        responses={201: ThreadSerializer, 409: RefusalSerializer},
        operation_id="open_thread",
    )
    def post(self, request: Request, slug: str) -> Response:
        draft = get_discussable_draft_for(request.user, slug)
        said = checked(NewThreadSerializer(data=request.data))
        said["key"] = said.pop("principle")
        with conflicts_told():
            thread = actions.open_thread(user=person_of(request), draft=draft, **said)
        return _thread(draft, thread, status.HTTP_201_CREATED)


class OneThread(APIView):
    """One thread, and answers in it."""

    permission_classes = [HasRole]

    @extend_schema(parameters=[PLACE, ROW], responses=ThreadSerializer, operation_id="thread")
    def get(self, request: Request, slug: str, pk: int) -> Response:
        thread = get_thread_for(request.user, slug, pk)
        return _thread(thread.draft, thread)

    @extend_schema(
        parameters=[PLACE, ROW],
        request=ReplySerializer,
        responses={201: ThreadSerializer, 409: RefusalSerializer},
        operation_id="reply",
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        thread = _discussable(request, slug, pk)
        said = checked(ReplySerializer(data=request.data))
        with conflicts_told():
            actions.reply(user=person_of(request), thread=thread, **said)
        return _thread(thread.draft, thread, status.HTTP_201_CREATED)


class Settle(APIView):
    """Resolves or reopens a thread."""

    permission_classes = [HasRole]
    verb: Callable[..., object] = actions.resolve_thread

    @extend_schema(parameters=[PLACE, ROW], request=None, responses={200: ThreadSerializer, 409: RefusalSerializer})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        thread = _discussable(request, slug, pk)
        with conflicts_told():
            type(self).verb(user=person_of(request), thread=thread)
        return _thread(thread.draft, thread)


class Resolve(Settle):
    """Says that a thread is settled."""


class Reopen(Settle):
    """Says that a thread is not settled after all."""

    verb = actions.reopen_thread


def _thread(draft: Draft, thread: Thread, code: int = status.HTTP_200_OK) -> Response:
    (talk,) = talks_of(threads_of(draft).filter(pk=thread.pk), draft.to_core())
    return Response(ThreadSerializer(talk).data, status=code)


def _discussable(request: Request, slug: str, pk: int) -> Thread:
    """The thread, for answering and settling. Raises PermissionDenied for those who only read."""
    thread = get_thread_for(request.user, slug, pk)
    if not can_discuss(request.user):
        raise PermissionDenied("Your role reads reviews and does not take part in them.")
    return thread
