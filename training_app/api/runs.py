"""Runs: launched, followed, steered, and the queue of those that wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import django_filters as filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from constitutions_app.api.asking import checked, person_of
from constitutions_app.models import Version
from training_app import access, placement
from training_app.actions import cancel_run, launch_run, move_run, pause_queue, prioritise_run, reopen_queue, resume_run
from training_app.actions.order_queue import LONGEST_REASON, MOVES
from training_app.algorithms import ALGORITHMS, by
from training_app.api.reading import Filters, Reading
from training_app.api.refusing import refusals_told
from training_app.core.config import PRESETS
from training_app.models import PromptSet, Run, RunStage
from training_app.models.run import Priority, RunState
from training_app.refusals import LaunchRefused
from training_app.time_left import TimeLeft, times_left


class StageSerializer(serializers.ModelSerializer[RunStage]):
    class Meta:
        model = RunStage
        fields = (
            "id", "run", "slug", "position", "state", "job_digest", "device", "dtype", "notes", "unit", "done", "total",
            "rate", "eta_s", "summary", "outputs", "exit_code", "reason", "advice", "started_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class TimeLeftSerializer(serializers.Serializer[TimeLeft]):
    """What is left of a run that is queued or running."""

    seconds = serializers.FloatField(allow_null=True, help_text="Null where nothing is known; `source` says why.")
    to_come = serializers.ListField(child=serializers.CharField(), help_text="Stages that have not begun.")
    unknown = serializers.ListField(child=serializers.CharField(), help_text="Stages whose time is not in the figure.")
    runs = serializers.IntegerField(help_text="Earlier runs of this preset and model that were looked at.")
    times = serializers.FloatField(allow_null=True, help_text="This run takes so many times as long as they did.")
    words = serializers.CharField()
    source: Any = serializers.CharField()


class RunSerializer(serializers.ModelSerializer[Run]):
    constitution = serializers.CharField(source="version.constitution.slug", read_only=True)
    version_number = serializers.IntegerField(source="version.number", read_only=True)
    prompt_sets: Any = serializers.SlugRelatedField(slug_field="slug", many=True, read_only=True)
    stages = StageSerializer(many=True, read_only=True)
    time_left = serializers.SerializerMethodField(
        help_text="Null for a run that has ended, is being stopped or has done every stage."
    )

    class Meta:
        model = Run
        fields = (
            "id", "number", "name", "version", "version_number", "constitution", "base_model", "other_models",
            "prompt_sets", "preset", "seed", "config", "state", "reason", "advice", "exit_code", "device", "priority",
            "attempt", "discarded", "created_by", "created_at", "started_at", "finished_at", "stages",
            "time_left",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(TimeLeftSerializer(allow_null=True))
    def get_time_left(self, run: Run) -> dict[str, Any] | None:
        times: Mapping[UUID, TimeLeft] | None = self.context.get("times_left")
        found = (times_left([run]) if times is None else times).get(run.pk)
        return dict(TimeLeftSerializer(found).data) if found else None


class LaunchedRunSerializer(RunSerializer):
    notice = serializers.SerializerMethodField(help_text="Something to know about the launch; empty when all is well.")

    class Meta:
        model = Run
        fields = (*RunSerializer.Meta.fields, "notice")
        read_only_fields = fields

    def get_notice(self, run: Run) -> str:
        return str(self.context.get("notice", ""))


class CancelSerializer(serializers.Serializer[Any]):
    """Whether what only a resume would need is to be deleted as well; the run then cannot be resumed."""

    discard = serializers.BooleanField(required=False, default=False)


class PlaceSerializer(serializers.Serializer[Any]):
    """Where a queued run is to stand: another priority, another place among those of its priority, or both."""

    priority = serializers.ChoiceField(choices=Priority.choices, required=False, allow_null=True, default=None)
    to = serializers.ChoiceField(choices=MOVES, required=False, allow_blank=True, default="")


class PauseSerializer(serializers.Serializer[Any]):
    """Whether queued runs are to wait; runs under way go on either way."""

    paused = serializers.BooleanField()
    reason = serializers.CharField(max_length=LONGEST_REASON, allow_blank=True, required=False, default="")


class QueueSerializer(serializers.Serializer[Any]):
    """What waits, in the order in which it is begun."""

    paused = serializers.BooleanField(read_only=True)
    reason = serializers.CharField(read_only=True)
    runs: Any = serializers.ListField(child=serializers.UUIDField(), read_only=True)


class LaunchSerializer(serializers.Serializer[Any]):
    """What a launch needs. `overrides` changes options of the preset, stage by stage."""

    version = serializers.IntegerField(help_text="Primary key of a published version.")
    base_model = serializers.CharField(max_length=200, help_text="Name of a folder under MODELS_ROOT.")
    prompt_sets = serializers.ListField(child=serializers.SlugField(max_length=100), allow_empty=False, max_length=50)
    preset = serializers.ChoiceField(choices=sorted(PRESETS))
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=7)
    overrides = serializers.DictField(required=False, default=dict)
    name = serializers.CharField(max_length=200, allow_blank=True, required=False, default="")
    judge = serializers.CharField(
        max_length=60, allow_blank=True, required=False, default="",
        help_text="Name of an allowed model server that judges in place of the base model.",
    )  # fmt: skip
    generator = serializers.CharField(
        max_length=60, allow_blank=True, required=False, default="",
        help_text="Name of an allowed model server that writes responses, critiques and revisions.",
    )  # fmt: skip
    accept_older = serializers.BooleanField(
        required=False, default=False, help_text="Whether words are meant that a newer version gives another meaning."
    )


class RunFilter(Filters):
    state = filters.ChoiceFilter(choices=RunState.choices)
    version = filters.NumberFilter(field_name="version_id")
    constitution = filters.CharFilter(field_name="version__constitution__slug")
    preset = filters.CharFilter(field_name="preset")
    algorithm = filters.ChoiceFilter(choices=[*ALGORITHMS.items()], method="by_algorithm")
    base_model = filters.CharFilter(field_name="base_model__name")
    created_by = filters.NumberFilter(field_name="created_by_id")
    name = filters.CharFilter(field_name="name", lookup_expr="icontains")

    def by_algorithm(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        return runs.filter(by(value))


class Runs(Reading[Run]):
    """Runs, with their stages. POST launches one."""

    queryset = Run.objects.select_related("version__constitution").prefetch_related("prompt_sets", "stages")
    serializer_class = RunSerializer
    filterset_class = RunFilter
    cursor_ordering = "-number"
    throttle_scope: str | None = None
    _times_left: Mapping[UUID, TimeLeft] | None = None

    def get_throttles(self) -> list[Any]:
        self.throttle_scope = "launch" if self.action == "create" else None
        return super().get_throttles()

    def paginate_queryset(self, queryset: QuerySet[Run, Any] | Sequence[Any]) -> list[Any] | None:
        """A page of runs; what is left of each is asked for all of them together."""
        page = super().paginate_queryset(queryset)
        self._times_left = times_left(page or [])
        return page

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "times_left": self._times_left}

    @extend_schema(request=LaunchSerializer, responses={201: LaunchedRunSerializer}, summary="Launch a run")
    def create(self, request: Request) -> Response:
        access.require_engineer(request.user)
        wanted = checked(LaunchSerializer(data=request.data))
        notices: list[str] = []
        try:
            run = launch_run(
                user=person_of(request),
                version=_version(wanted["version"]),
                base_model=wanted["base_model"],
                prompt_sets=_prompt_sets(wanted["prompt_sets"]),
                preset=wanted["preset"],
                seed=wanted["seed"],
                overrides=wanted["overrides"],
                name=wanted["name"],
                judge=wanted["judge"],
                generator=wanted["generator"],
                accept_older=wanted["accept_older"],
                say=notices.append,
            )
        except LaunchRefused as error:
            raise ValidationError({error.field or "detail": [str(error)]}) from error
        context = {**self.get_serializer_context(), "notice": " ".join(notices)}
        answer = LaunchedRunSerializer(self.get_queryset().get(pk=run.pk), context=context)
        return Response(answer.data, status=status.HTTP_201_CREATED)

    @extend_schema(request=CancelSerializer, responses={200: RunSerializer}, summary="Cancel a run")
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        run = access.get_run_to_steer_for(request.user, self.get_object().pk)
        wanted = checked(CancelSerializer(data=request.data))
        with refusals_told():
            run = cancel_run(user=person_of(request), run=run, discard=wanted["discard"])
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data)

    @extend_schema(request=None, responses={200: RunSerializer}, summary="Resume a run")
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        run = access.get_run_to_steer_for(request.user, self.get_object().pk)
        with refusals_told():
            run = resume_run(user=person_of(request), run=run)
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data)

    @extend_schema(request=PlaceSerializer, responses={200: RunSerializer}, summary="Move a queued run")
    @action(detail=True, methods=["post"])
    def place(self, request: Request, pk: str) -> Response:
        run = access.get_run_to_steer_for(request.user, self.get_object().pk)
        wanted = checked(PlaceSerializer(data=request.data))
        with refusals_told():
            if wanted["priority"] is not None:
                prioritise_run(user=person_of(request), run=run, priority=wanted["priority"])
            if wanted["to"]:
                move_run(user=person_of(request), run=run, to=wanted["to"])
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data)

    @extend_schema(methods=["GET"], filters=False, responses={200: QueueSerializer}, summary="The queue of runs")
    @extend_schema(
        methods=["POST"],
        request=PauseSerializer,
        responses={200: QueueSerializer},
        summary="Pause or open the queue",
    )
    @action(detail=False, methods=["get", "post"], pagination_class=None)
    def queue(self, request: Request) -> Response:
        if request.method == "POST":
            access.require_engineer(request.user)
            wanted = checked(PauseSerializer(data=request.data))
            if wanted["paused"]:
                pause_queue(user=person_of(request), reason=wanted["reason"])
            else:
                reopen_queue(user=person_of(request))
        return Response(QueueSerializer(placement.as_it_is()).data)


def _version(pk: int) -> Version:
    version = Version.objects.filter(pk=pk).first()
    if version is None:
        raise ValidationError({"version": [f"There is no published version with the number {pk} in the database."]})
    return version


def _prompt_sets(slugs: list[str]) -> list[PromptSet]:
    found = {one.slug: one for one in PromptSet.objects.filter(slug__in=slugs)}
    if missing := [slug for slug in slugs if slug not in found]:
        raise ValidationError({"prompt_sets": [f"There is no prompt set {missing[0]!r}."]})
    return [found[slug] for slug in slugs]
