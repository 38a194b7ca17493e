"""The filters the API offers, each declared by hand: no key of a request ever becomes a lookup by itself."""

from __future__ import annotations

import re

import django_filters as filters
from django.db.models import QuerySet

from training_app import taught
from training_app.models import Audit, Checkpoint, Comparison, JudgeEvaluation, PromptSet
from training_app.models.run import RunState, StageState


class Filters(filters.FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """What every list's filters have in common: they are declared, so that no key of a user reaches the ORM."""


class RunFilter(Filters):
    state = filters.ChoiceFilter(choices=RunState.choices)
    version = filters.NumberFilter(field_name="version_id")
    constitution = filters.CharFilter(field_name="version__constitution__slug")
    preset = filters.CharFilter(field_name="preset")


class StageFilter(Filters):
    run = filters.UUIDFilter(field_name="run_id")
    slug = filters.CharFilter(field_name="slug")
    state = filters.ChoiceFilter(choices=StageState.choices)


class OfStageFilter(Filters):
    run = filters.UUIDFilter(field_name="stage__run_id")
    stage = filters.NumberFilter(field_name="stage_id")


class JudgeEvaluationFilter(Filters):
    state = filters.ChoiceFilter(choices=JudgeEvaluation.State.choices)
    judge = filters.NumberFilter(field_name="judge_id")
    file_digest = filters.CharFilter(field_name="file_digest")


class EventFilter(OfStageFilter):
    kind = filters.CharFilter(field_name="kind")
    after = filters.NumberFilter(field_name="id", lookup_expr="gt")


class MetricFilter(OfStageFilter):
    name = filters.CharFilter(field_name="name")


class PromptSetFilter(Filters):
    kind = filters.ChoiceFilter(choices=PromptSet.Kind.choices)
    slug = filters.CharFilter(field_name="slug")


class PromptFilter(Filters):
    prompt_set = filters.NumberFilter(field_name="prompt_set_id")
    key = filters.CharFilter(field_name="key")


class OfRunFilter(Filters):
    run = filters.UUIDFilter(field_name="run_id")


class TraceFilter(OfRunFilter):
    prompt = filters.NumberFilter(field_name="prompt_id")


class StepFilter(Filters):
    run = filters.UUIDFilter(field_name="trace__run_id")
    trace = filters.NumberFilter(field_name="trace_id")
    principle = filters.NumberFilter(field_name="principle_id")
    principle_key = filters.CharFilter(field_name="principle__key")
    version = filters.NumberFilter(field_name="principle__version_id")


class ComparisonFilter(OfRunFilter):
    source = filters.ChoiceFilter(choices=Comparison.Source.choices)
    prompt_set = filters.NumberFilter(field_name="prompt_set_id")
    identical = filters.BooleanFilter(field_name="identical")


class LabelFilter(OfRunFilter):
    comparison = filters.NumberFilter(field_name="comparison_id")
    principle = filters.NumberFilter(field_name="principle_id")
    principle_key = filters.CharFilter(field_name="principle__key")
    version = filters.NumberFilter(field_name="principle__version_id")
    judge = filters.NumberFilter(field_name="judge_id")
    same_position = filters.BooleanFilter(field_name="same_position")


class AuditFilter(Filters):
    label = filters.NumberFilter(field_name="label_id")
    step = filters.NumberFilter(field_name="step_id")
    auditor = filters.NumberFilter(field_name="auditor_id")
    verdict = filters.ChoiceFilter(choices=Audit.Verdict.choices)


class BuildFilter(OfRunFilter):
    stage = filters.CharFilter(field_name="stage")
    digest = filters.CharFilter(field_name="digest")


class BuildItemFilter(Filters):
    build = filters.NumberFilter(field_name="build_id")
    label = filters.NumberFilter(field_name="label_id")
    step = filters.NumberFilter(field_name="step_id")


class CheckpointFilter(OfRunFilter):
    stage = filters.CharFilter(field_name="stage")
    version = filters.NumberFilter(field_name="version_id")
    digest = filters.CharFilter(field_name="digest")
    constitution_digest = filters.CharFilter(field_name="constitution_digest")
    saw = filters.CharFilter(
        method="that_saw",
        label="Ever saw a principle of a version: constitution@number/principle, as privacy@3/honesty",
    )

    def that_saw(self, rows: QuerySet[Checkpoint], name: str, value: str) -> QuerySet[Checkpoint]:
        """Those that were taught by the principle, directly or through what they were made from; one query."""
        match = re.fullmatch(r"([\w-]{1,80})@(\d{1,9})/([\w-]{1,80})", value)
        return rows.filter(pk__in=taught.by_words(match[1], int(match[2]), match[3])) if match else rows.none()


class EvaluationFilter(OfRunFilter):
    model = filters.CharFilter(field_name="model")


class AnswerFilter(EvaluationFilter):
    prompt = filters.NumberFilter(field_name="prompt_id")
