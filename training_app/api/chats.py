"""Questions to checkpoints: asking one, or two side by side, and what they answered."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from constitutions_app.access import SCENARIO_WRITERS, has_role
from constitutions_app.api.asking import RefusalSerializer, checked, conflicts_told, person_of
from constitutions_app.models.scenario import RESPONSES
from training_app import access
from training_app.actions import ask_checkpoints, make_scenario_of_chat, send_answers
from training_app.actions.chat import LONGEST_QUESTION, MOST_TOKENS
from training_app.api.reading import Filters, Reading
from training_app.api.refusing import refusals_told
from training_app.models import ChatTurn, QueueItem
from training_app.refusals import ChatRefused

LARGEST_SEED = 2**31 - 1


class ChatSerializer(serializers.ModelSerializer[ChatTurn]):
    """A question and its answers: `replies` has "left" and, of two checkpoints, "right" once it has succeeded."""

    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = ChatTurn
        fields: tuple[str, ...] = (
            "id", "messages", "left", "right", "seed", "params", "state", "reason", "advice", "replies", "created_by",
            "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class AskedChatSerializer(ChatSerializer):
    notice = serializers.SerializerMethodField(help_text="Something to know about it; empty when all is well.")

    class Meta:
        model = ChatTurn
        fields = (*ChatSerializer.Meta.fields, "notice")
        read_only_fields = fields

    def get_notice(self, turn: ChatTurn) -> str:
        return str(self.context.get("notice", ""))


class QuestionSerializer(serializers.Serializer[Any]):
    """A question. `id` is chosen by the sender: sending it twice asks once."""

    id = serializers.UUIDField()
    question = serializers.CharField(max_length=LONGEST_QUESTION)
    left = serializers.IntegerField(help_text="The checkpoint that answers.")
    right = serializers.IntegerField(required=False, allow_null=True, default=None, help_text="Another beside it.")
    after = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="An earlier question whose left answer goes before it."
    )
    seed = serializers.IntegerField(min_value=0, max_value=LARGEST_SEED, required=False, default=7)
    temperature = serializers.FloatField(min_value=0, max_value=2, required=False, default=0.7)
    max_new_tokens = serializers.IntegerField(min_value=1, max_value=MOST_TOKENS, required=False, default=128)


class SentAnswersSerializer(serializers.ModelSerializer[QueueItem]):
    """Where the pair stands among those that wait to be judged blind."""

    class Meta:
        model = QueueItem
        fields = ("queue", "position", "comparison")
        read_only_fields = fields


class ExpectedSerializer(serializers.Serializer[Any]):
    """Which answer should win: a is the left one."""

    expected = serializers.ChoiceField(choices=RESPONSES, required=False, allow_blank=True, default="")


class MadeScenarioSerializer(serializers.Serializer[Any]):
    """A scenario by its constitution and key."""

    constitution = serializers.CharField(source="constitution.slug")
    key = serializers.CharField()


class ChatFilter(Filters):
    left = filters.NumberFilter(field_name="left_id")
    right = filters.NumberFilter(field_name="right_id")
    state = filters.ChoiceFilter(choices=ChatTurn.State.choices)


class Chats(Reading[ChatTurn]):
    """Your own questions to checkpoints, newest first; those of others by their id. POST asks one."""

    queryset = ChatTurn.objects.select_related("created_by")
    serializer_class = ChatSerializer
    filterset_class = ChatFilter
    cursor_ordering = ("-created_at", "-id")
    hides = (("comparison", "comparison"),)

    def get_queryset(self) -> QuerySet[ChatTurn]:
        rows = super().get_queryset()
        request: Request | None = self.request  # none where the schema is written
        return rows.filter(created_by=request.user.pk) if self.action == "list" and request is not None else rows

    @extend_schema(request=QuestionSerializer, responses={201: AskedChatSerializer}, summary="Ask checkpoints")
    def create(self, request: Request) -> Response:
        said = checked(QuestionSerializer(data=request.data))
        notices: list[str] = []
        after = access.get_told_chat_turn_for(request.user, said["after"]) if said["after"] else None
        left = access.get_checkpoint_for(request.user, said["left"])
        right = access.get_checkpoint_for(request.user, said["right"]) if said["right"] is not None else None
        try:
            turn = ask_checkpoints(
                user=person_of(request), turn_id=said["id"], question=said["question"], left=left, right=right,
                after=after, seed=said["seed"], temperature=said["temperature"],
                max_new_tokens=said["max_new_tokens"], say=notices.append,
            )  # fmt: skip
        except ChatRefused as refusal:
            raise ValidationError({"detail": [str(refusal)]}) from refusal
        context = {**self.get_serializer_context(), "notice": " ".join(notices)}
        return Response(AskedChatSerializer(turn, context=context).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        request=None,
        responses={200: SentAnswersSerializer, 409: RefusalSerializer},
        summary="Send the two answers to be judged blind",
    )
    @action(detail=True, methods=["post"])
    def send(self, request: Request, pk: str) -> Response:
        if not access.can_make_queues(request.user):
            raise PermissionDenied("Engineers and auditors send answers to be judged.")
        with conflicts_told(), refusals_told():
            item = send_answers(user=person_of(request), turn=self.get_object())
        return Response(SentAnswersSerializer(item).data)

    @extend_schema(
        request=ExpectedSerializer,
        responses={200: MadeScenarioSerializer, 409: RefusalSerializer},
        summary="Make a scenario of the two answers",
    )
    @action(detail=True, methods=["post"])
    def scenario(self, request: Request, pk: str) -> Response:
        if not has_role(request.user, *SCENARIO_WRITERS):
            raise PermissionDenied("Your role reads scenarios and does not write them.")
        wanted = checked(ExpectedSerializer(data=request.data))
        with conflicts_told(), refusals_told():
            made = make_scenario_of_chat(user=person_of(request), turn=self.get_object(), expected=wanted["expected"])
        return Response(MadeScenarioSerializer(made).data)
