"""Judging in a queue: what you are given is blind until you have chosen, and is then revealed to you.

Taking an item reserves it, so it is posted. What is sent twice under one id is kept once. The same texts are veiled
here as on the page until you ask to see them.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from constitutions_app.api.asking import Conflict, HasRole, RefusalSerializer, checked, person_of
from training_app import access
from training_app.actions import choose_blind, decide, refuse_item, take_next, undo
from training_app.actions.change_auditor_settings import show_veiled
from training_app.actions.judge_in_queue import ANSWERS, Said
from training_app.actions.record_audit import LONGEST_COMMENT
from training_app.api.audits import AuditSerializer
from training_app.api.labels import LabelSerializer
from training_app.api.refusing import refusals_told
from training_app.models import Audit, AuditQueue, Checkpoint, Reservation
from training_app.queues.showing import Given, letter_of

SIDES = ("first", "second", "neither")


class SideSerializer(serializers.Serializer[Any]):
    """One of two texts, at its place for you."""

    side = serializers.CharField(source="name")
    text = serializers.CharField()


class RevisedSerializer(serializers.Serializer[Any]):
    """A critique and what it made of a text."""

    before = serializers.CharField(source="given.before")
    critique = serializers.CharField(source="step.critique")
    revision = serializers.CharField(source="step.revision")


class CitedPrincipleSerializer(serializers.Serializer[Any]):
    """The principle that was cited, at its exact version."""

    id = serializers.IntegerField()
    key = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()
    constitution = serializers.CharField(source="version.constitution.slug")
    version = serializers.IntegerField(source="version.number")


class AuthorSerializer(serializers.Serializer[Any]):
    """A side and the checkpoint whose answer stood there."""

    side = serializers.SerializerMethodField()
    checkpoint = serializers.SerializerMethodField()

    def get_side(self, author: tuple[str, Checkpoint]) -> str:
        return author[0]

    def get_checkpoint(self, author: tuple[str, Checkpoint]) -> int:
        return author[1].pk


class RevealedSerializer(serializers.Serializer[Any]):
    """What is told after your choice. `label` is null for a step, and for an item whose answer was known."""

    outcome = serializers.CharField(help_text="What keeping your choice comes to.")
    first = serializers.CharField(source="reservation.shown_first", help_text="Which response stood first: a or b.")
    label = LabelSerializer(allow_null=True)  # type: ignore[assignment]  # a field called as an attribute of every field
    step = serializers.IntegerField(source="item.step_id", allow_null=True)
    known = serializers.CharField(source="known_side", help_text="Where the known answer stood; else empty.")
    authors = AuthorSerializer(many=True, help_text="Whose answers these are, where two checkpoints were asked.")
    others = AuditSerializer(many=True, help_text="What others said of it.")
    audit = AuditSerializer(source="reservation.audit", allow_null=True, help_text="Your verdict, once it is kept.")


class GivenSerializer(serializers.Serializer[Given]):
    """An item as it stands for you. Texts are empty while it is veiled; `revealed` is null before your choice."""

    queue = serializers.IntegerField(source="queue.pk")
    position = serializers.IntegerField(source="item.position")
    state = serializers.ChoiceField(source="reservation.state", choices=Reservation.State.choices)
    expires_at = serializers.DateTimeField(source="reservation.expires_at")
    why = serializers.CharField(source="item.why", help_text="Why this item is here.")
    is_veiled = serializers.BooleanField()
    severity = serializers.IntegerField(help_text="How harmful the texts may be; 0: not at all.")
    offers_break = serializers.BooleanField()
    prompt = serializers.SerializerMethodField()
    messages = serializers.SerializerMethodField()
    sides = serializers.SerializerMethodField()
    step = serializers.SerializerMethodField()
    principle = CitedPrincipleSerializer(allow_null=True)
    choice = serializers.CharField(source="own_side", help_text="Where your blind choice stands; empty before it.")
    revealed = serializers.SerializerMethodField()

    def get_prompt(self, given: Given) -> str:
        return "" if given.is_veiled else given.prompt_text

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_messages(self, given: Given) -> Any:
        return [] if given.is_veiled else given.messages

    @extend_schema_field(SideSerializer(many=True))
    def get_sides(self, given: Given) -> Any:
        return [] if given.is_veiled else SideSerializer(given.sides, many=True).data

    @extend_schema_field(RevisedSerializer(allow_null=True))
    def get_step(self, given: Given) -> Any:
        shown = given.step is not None and not given.is_veiled
        return RevisedSerializer({"given": given, "step": given.step}).data if shown else None

    @extend_schema_field(RevealedSerializer(allow_null=True))
    def get_revealed(self, given: Given) -> Any:
        return RevealedSerializer(given).data if given.is_revealed and not given.is_veiled else None


class NextSerializer(serializers.Serializer[Any]):
    """Which item you are looking at, if another one is wanted ahead of time."""

    beside = serializers.IntegerField(required=False, allow_null=True, default=None, help_text="Its position.")


class NextItemSerializer(serializers.Serializer[Any]):
    """`item` is null where nothing is left for you."""

    item = GivenSerializer(allow_null=True)


class AnswersSerializer(serializers.Serializer[Any]):
    """What is said of a step besides whether it got better."""

    critique_fair = serializers.BooleanField(required=False, allow_null=True, default=None)
    principle_fits = serializers.BooleanField(required=False, allow_null=True, default=None)
    change_needed = serializers.BooleanField(required=False, allow_null=True, default=None)


class BlindChoiceSerializer(AnswersSerializer):
    """Your choice by the place the texts stand in. Of a step "first" says that the revision is better."""

    id = serializers.UUIDField()
    side = serializers.ChoiceField(choices=SIDES)
    seconds = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=0, max_value=86_400)


class DecisionSerializer(AnswersSerializer):
    """What is kept. `id` becomes the audit's: sent twice it is kept once. Without `side` your blind choice stands."""

    id = serializers.UUIDField()
    side = serializers.ChoiceField(choices=SIDES, required=False, allow_blank=True, default="")
    reason = serializers.ChoiceField(choices=Audit.Reason.choices, required=False, allow_blank=True, default="")
    confidence = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=4)
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_COMMENT)


class RefusedItemSerializer(serializers.Serializer[Any]):
    """Why the item is left to others, if you like."""

    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=200)


class QueueNext(APIView):
    """POST: what you are to judge next, blind; what you hold already comes first."""

    permission_classes = [HasRole]

    @extend_schema(
        request=NextSerializer, responses=NextItemSerializer, operation_id="queues_next", summary="Take the next item"
    )
    def post(self, request: Request, pk: int) -> Response:
        queue = access.get_queue_to_judge_for(request.user, pk)
        beside = checked(NextSerializer(data=request.data))["beside"]
        looked_at = None if beside is None else access.get_reservation_for(request.user, pk, beside).pk
        return _next(request, queue, beside=looked_at)


class QueueUndo(APIView):
    """POST: take your last decision in a queue back by a further audit, and open its item again."""

    permission_classes = [HasRole]

    @extend_schema(
        request=None,
        responses={200: GivenSerializer, 409: RefusalSerializer},
        operation_id="queues_undo",
        summary="Take the last decision back",
    )
    def post(self, request: Request, pk: int) -> Response:
        queue = access.get_queue_to_judge_for(request.user, pk)
        opened = undo(user=person_of(request), queue=queue)
        if opened is None:
            raise Conflict("There is no decision of yours in this queue to take back.")
        return _given(request, pk, opened.item.position)


class OneItem(APIView):
    """One item as it stands for you: blind, revealed or decided. 404 where you were not given it."""

    permission_classes = [HasRole]

    @extend_schema(responses=GivenSerializer, operation_id="queues_item", summary="An item you were given")
    def get(self, request: Request, pk: int, position: int) -> Response:
        return _given(request, pk, position)


class ChooseBlind(APIView):
    """POST: keep the blind choice; only then is anything revealed."""

    permission_classes = [HasRole]

    @extend_schema(
        request=BlindChoiceSerializer,
        responses={200: GivenSerializer, 409: RefusalSerializer},
        operation_id="queues_choose",
        summary="Choose blind",
    )
    def post(self, request: Request, pk: int, position: int) -> Response:
        held = access.get_reservation_for(request.user, pk, position)
        said = checked(BlindChoiceSerializer(data=request.data))
        answers = {name: said[name] for name in ANSWERS}
        with refusals_told():
            choose_blind(
                user=person_of(request), reservation=held, key=said["id"], choice=_letter(held, said["side"]),
                seconds=said["seconds"], answers=answers,
            )  # fmt: skip
        return _given(request, pk, position)


class Decide(APIView):
    """POST: keep the verdict that follows from the choice. Agreement or override follows from it."""

    permission_classes = [HasRole]

    @extend_schema(
        request=DecisionSerializer,
        responses={200: GivenSerializer, 409: RefusalSerializer},
        operation_id="queues_decide",
        summary="Keep a decision, once",
    )
    def post(self, request: Request, pk: int, position: int) -> Response:
        held = access.get_reservation_for(request.user, pk, position)
        said = checked(DecisionSerializer(data=request.data))
        audit_id, side = said.pop("id"), said.pop("side")
        with refusals_told():
            decide(
                user=person_of(request), reservation=held, audit_id=audit_id,
                said=Said(choice=_letter(held, side), **said),
            )  # fmt: skip
        return _given(request, pk, position)


class RefuseItem(APIView):
    """POST: leave an item to others for good; it never comes back to you."""

    permission_classes = [HasRole]

    @extend_schema(
        request=RefusedItemSerializer, responses=NextItemSerializer, operation_id="queues_refuse",
        summary="Leave an item to others",
    )  # fmt: skip
    def post(self, request: Request, pk: int, position: int) -> Response:
        held = access.get_reservation_for(request.user, pk, position)
        said = checked(RefusedItemSerializer(data=request.data))
        refuse_item(user=person_of(request), reservation=held, reason=said["reason"])
        return _next(request, held.queue)


class ShowVeiled(APIView):
    """POST: see the texts of a veiled item; how often you do is counted for you alone."""

    permission_classes = [HasRole]

    @extend_schema(
        request=None, responses=GivenSerializer, operation_id="queues_show", summary="See the texts of a veiled item"
    )
    def post(self, request: Request, pk: int, position: int) -> Response:
        given = Given(access.get_reservation_for(request.user, pk, position))
        if given.is_veiled:
            show_veiled(user=person_of(request), reservation=given.reservation, severity=given.severity)
        return _given(request, pk, position)


def _given(request: Request, pk: int, position: int) -> Response:
    given = Given(access.get_reservation_for(request.user, pk, position))
    return Response(GivenSerializer(given, context={"request": request}).data)


def _next(request: Request, queue: AuditQueue, *, beside: int | None = None) -> Response:
    taken = take_next(user=person_of(request), queue=queue, beside=beside)
    given = None if taken is None else Given(access.get_reservation_for(request.user, queue.pk, taken.item.position))
    return Response(NextItemSerializer({"item": given}, context={"request": request}).data)


def _letter(held: Reservation, side: str) -> str:
    return letter_of(held, side, is_step=held.item.step_id is not None)
