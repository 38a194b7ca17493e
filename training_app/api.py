"""The API of training: reading is broad, writing goes through the verbs of `actions` and nothing else.

Everybody with a role reads; engineers launch, cancel and resume runs; auditors give verdicts. A verb that refuses
answers 400 (something about what was sent) or 409 (the run is not in a state for it) with the verb's own sentence.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q, QuerySet
from django.urls import URLPattern, URLResolver
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter, SimpleRouter

from constitutions_app.api.asking import Conflict, HasRole, checked, person_of
from constitutions_app.models import Version
from training_app import access, filters, placement, serializers
from training_app.actions import (
    cancel_judge,
    cancel_run,
    launch_run,
    move_run,
    pause_queue,
    prioritise_run,
    record_audit,
    reopen_queue,
    resume_run,
)
from training_app.actions.record_audit import Verdict
from training_app.models import (
    AILabel,
    Audit,
    Checkpoint,
    Comparison,
    DatasetBuild,
    DatasetItem,
    Evaluation,
    EvaluationAnswer,
    Judge,
    JudgeEvaluation,
    MetricPoint,
    Prompt,
    PromptSet,
    Run,
    RunEvent,
    RunStage,
    Trace,
    TraceStep,
)
from training_app.refusals import AuditRefused, LaunchRefused, SteeringRefused

Row = TypeVar("Row", bound=models.Model)


class Reading(mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[Row]):
    """One object, and a list of them by cursor. Subclasses say which, with which fields and filters."""

    permission_classes = [HasRole]
    hides: tuple[tuple[str, str], ...] = ()
    """Kinds of items ("label", "step", "comparison") with the path to one: rows of those that the caller has yet to
    judge blind are left out."""

    def get_queryset(self) -> QuerySet[Row]:
        rows = super().get_queryset()
        request: Request | None = self.request  # none where the schema is written
        user = request.user if request is not None else AnonymousUser()
        for kind, path in self.hides if access.can_audit(user) else ():
            rows = rows.filter(~Q(**{f"{path}__in": access.hidden_items(user, kind)}) | Q(**{path: None}))
        return rows


class Runs(Reading[Run]):
    """Runs, with their stages. POST launches one."""

    queryset = Run.objects.select_related("version__constitution").prefetch_related("prompt_sets", "stages")
    serializer_class = serializers.RunSerializer
    filterset_class = filters.RunFilter
    cursor_ordering = "-number"
    throttle_scope: str | None = None

    def get_throttles(self) -> list[Any]:
        self.throttle_scope = "launch" if self.action == "create" else None
        return super().get_throttles()

    @extend_schema(
        request=serializers.LaunchSerializer, responses={201: serializers.LaunchedRunSerializer}, summary="Launch a run"
    )
    def create(self, request: Request) -> Response:
        access.require_engineer(request.user)
        wanted = checked(serializers.LaunchSerializer(data=request.data))
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
        answer = serializers.LaunchedRunSerializer(self.get_queryset().get(pk=run.pk), context=context)
        return Response(answer.data, status=status.HTTP_201_CREATED)

    @extend_schema(
        request=serializers.CancelSerializer, responses={200: serializers.RunSerializer}, summary="Cancel a run"
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        run = access.get_run_to_steer_for(request.user, self.get_object().pk)
        wanted = checked(serializers.CancelSerializer(data=request.data))
        try:
            run = cancel_run(user=person_of(request), run=run, discard=wanted["discard"])
        except SteeringRefused as error:
            raise Conflict(str(error)) from error
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data)

    @extend_schema(request=None, responses={200: serializers.RunSerializer}, summary="Resume a run")
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        run = access.get_run_to_steer_for(request.user, self.get_object().pk)
        try:
            run = resume_run(user=person_of(request), run=run)
        except SteeringRefused as error:
            raise Conflict(str(error)) from error
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data)

    @extend_schema(
        request=serializers.PlaceSerializer, responses={200: serializers.RunSerializer}, summary="Move a queued run"
    )
    @action(detail=True, methods=["post"])
    def place(self, request: Request, pk: str) -> Response:
        run = access.get_run_to_steer_for(request.user, self.get_object().pk)
        wanted = checked(serializers.PlaceSerializer(data=request.data))
        try:
            if wanted["priority"] is not None:
                prioritise_run(user=person_of(request), run=run, priority=wanted["priority"])
            if wanted["to"]:
                move_run(user=person_of(request), run=run, to=wanted["to"])
        except SteeringRefused as error:
            raise Conflict(str(error)) from error
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data)

    @extend_schema(
        methods=["GET"], filters=False, responses={200: serializers.QueueSerializer}, summary="The queue of runs"
    )
    @extend_schema(
        methods=["POST"],
        request=serializers.PauseSerializer,
        responses={200: serializers.QueueSerializer},
        summary="Pause or open the queue",
    )
    @action(detail=False, methods=["get", "post"], pagination_class=None)
    def queue(self, request: Request) -> Response:
        if request.method == "POST":
            access.require_engineer(request.user)
            wanted = checked(serializers.PauseSerializer(data=request.data))
            if wanted["paused"]:
                pause_queue(user=person_of(request), reason=wanted["reason"])
            else:
                reopen_queue(user=person_of(request))
        return Response(serializers.QueueSerializer(placement.as_it_is()).data)


class Audits(Reading[Audit]):
    """Verdicts of people on labels and steps; not on those you have yet to judge blind. POST gives one."""

    queryset = Audit.objects.all()
    serializer_class = serializers.AuditSerializer
    filterset_class = filters.AuditFilter
    cursor_ordering = ("-created_at", "-id")
    hides = (("label", "label"), ("step", "step"))

    @extend_schema(
        request=serializers.VerdictSerializer, responses={201: serializers.AuditSerializer}, summary="Give a verdict"
    )
    def create(self, request: Request) -> Response:
        access.require_auditor(request.user)
        said = checked(serializers.VerdictSerializer(data=request.data))
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


class Stages(Reading[RunStage]):
    """Stages of runs, with progress, device, digests and outputs."""

    queryset = RunStage.objects.all()
    serializer_class = serializers.StageSerializer
    filterset_class = filters.StageFilter


class Events(Reading[RunEvent]):
    """What stages said, oldest first, so that `after` follows a run."""

    queryset = RunEvent.objects.all()
    serializer_class = serializers.EventSerializer
    filterset_class = filters.EventFilter
    cursor_ordering = "id"


class Metrics(Reading[MetricPoint]):
    """The points of the curves."""

    queryset = MetricPoint.objects.all()
    serializer_class = serializers.MetricSerializer
    filterset_class = filters.MetricFilter
    cursor_ordering = "id"


class PromptSets(Reading[PromptSet]):
    """Frozen collections of prompts."""

    queryset = PromptSet.objects.all()
    serializer_class = serializers.PromptSetSerializer
    filterset_class = filters.PromptSetFilter


class Prompts(Reading[Prompt]):
    """The prompts of all sets."""

    queryset = Prompt.objects.all()
    serializer_class = serializers.PromptSerializer
    filterset_class = filters.PromptFilter


class Traces(Reading[Trace]):
    """Initial responses."""

    queryset = Trace.objects.all()
    serializer_class = serializers.TraceSerializer
    filterset_class = filters.TraceFilter


class Steps(Reading[TraceStep]):
    """Critiques and revisions, each with the principle it cites at its exact version."""

    queryset = TraceStep.objects.select_related("principle")
    serializer_class = serializers.StepSerializer
    filterset_class = filters.StepFilter


class Comparisons(Reading[Comparison]):
    """Prompts with two responses: sampled ones and human ones."""

    queryset = Comparison.objects.all()
    serializer_class = serializers.ComparisonSerializer
    hides = (("comparison", "pk"),)
    filterset_class = filters.ComparisonFilter


class Labels(Reading[AILabel]):
    """AI labels, raw log-probs in both orders included. Those that you have yet to judge blind are left out."""

    queryset = AILabel.objects.select_related("principle")
    serializer_class = serializers.LabelSerializer
    hides = (("label", "pk"),)
    filterset_class = filters.LabelFilter


class Judges(Reading[Judge]):
    """Models with template and rules, as labels cite them."""

    queryset = Judge.objects.all()
    serializer_class = serializers.JudgeSerializer


class JudgeEvaluations(Reading[JudgeEvaluation]):
    """Judges measured on files of questions whose answer is known."""

    queryset = JudgeEvaluation.objects.select_related("created_by")
    serializer_class = serializers.JudgeEvaluationSerializer
    filterset_class = filters.JudgeEvaluationFilter
    cursor_ordering = "-created_at"

    @extend_schema(
        request=None, responses={200: serializers.JudgeEvaluationSerializer}, summary="Cancel a judge's measurement"
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        asked = access.get_judge_evaluation_to_cancel_for(request.user, self.get_object().pk)
        try:
            after = cancel_judge(user=person_of(request), evaluation=asked)
        except SteeringRefused as error:
            raise Conflict(str(error)) from error
        return Response(self.get_serializer(after).data)


class DatasetBuilds(Reading[DatasetBuild]):
    """Exactly what training stages saw, with the rules and counts."""

    queryset = DatasetBuild.objects.all()
    serializer_class = serializers.BuildSerializer
    filterset_class = filters.BuildFilter


class DatasetItems(Reading[DatasetItem]):
    """The origin of every row of the dataset builds. Rows of items that you have yet to judge blind are left out."""

    queryset = DatasetItem.objects.all()
    serializer_class = serializers.BuildItemSerializer
    hides = (("label", "label"), ("step", "step"), ("comparison", "comparison"))
    filterset_class = filters.BuildItemFilter


class Checkpoints(Reading[Checkpoint]):
    """Weights with their manifests."""

    queryset = Checkpoint.objects.all()
    serializer_class = serializers.CheckpointSerializer
    filterset_class = filters.CheckpointFilter


class Evaluations(Reading[Evaluation]):
    """What was measured on base, SL-CAI and RL-CAI."""

    queryset = Evaluation.objects.all()
    serializer_class = serializers.EvaluationSerializer
    filterset_class = filters.EvaluationFilter


class Answers(Reading[EvaluationAnswer]):
    """The held-out prompts as each model answered them."""

    queryset = EvaluationAnswer.objects.all()
    serializer_class = serializers.AnswerSerializer
    filterset_class = filters.AnswerFilter


VIEWS: tuple[tuple[str, type[Reading[Any]]], ...] = (
    ("runs", Runs),
    ("stages", Stages),
    ("events", Events),
    ("metrics", Metrics),
    ("prompt-sets", PromptSets),
    ("prompts", Prompts),
    ("traces", Traces),
    ("steps", Steps),
    ("comparisons", Comparisons),
    ("labels", Labels),
    ("judges", Judges),
    ("judge-evaluations", JudgeEvaluations),
    ("audits", Audits),
    ("dataset-builds", DatasetBuilds),
    ("dataset-items", DatasetItems),
    ("checkpoints", Checkpoints),
    ("evaluations", Evaluations),
    ("answers", Answers),
)


def register(router: BaseRouter) -> None:
    """Put every view of this file on a router."""
    for name, view in VIEWS:
        router.register(name, view, basename=f"api-{name}")


_router = SimpleRouter()
register(_router)
urlpatterns: list[URLPattern | URLResolver] = list(_router.urls)


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
