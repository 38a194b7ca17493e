"""What the API says of each object. Fields are listed by name: a new column shows up only when it is added here."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from training_app.actions.order_queue import LONGEST_REASON, MOVES
from training_app.actions.record_audit import LONGEST_COMMENT
from training_app.core.config import PRESETS
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
from training_app.models.run import Priority


class StageSerializer(serializers.ModelSerializer[RunStage]):
    class Meta:
        model = RunStage
        fields = (
            "id", "run", "slug", "position", "state", "job_digest", "device", "dtype", "notes", "unit", "done", "total",
            "rate", "eta_s", "summary", "outputs", "exit_code", "reason", "advice", "started_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class RunSerializer(serializers.ModelSerializer[Run]):
    constitution = serializers.CharField(source="version.constitution.slug", read_only=True)
    version_number = serializers.IntegerField(source="version.number", read_only=True)
    prompt_sets: Any = serializers.SlugRelatedField(slug_field="slug", many=True, read_only=True)
    stages = StageSerializer(many=True, read_only=True)

    class Meta:
        model = Run
        fields = (
            "id", "number", "name", "version", "version_number", "constitution", "base_model", "other_models",
            "prompt_sets", "preset", "seed", "config", "state", "reason", "advice", "exit_code", "device", "priority",
            "attempt", "discarded", "created_by", "created_at", "started_at", "finished_at", "stages",
        )  # fmt: skip
        read_only_fields = fields


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


class EventSerializer(serializers.ModelSerializer[RunEvent]):
    class Meta:
        model = RunEvent
        fields = ("id", "stage", "seq", "kind", "at", "data")
        read_only_fields = fields


class MetricSerializer(serializers.ModelSerializer[MetricPoint]):
    class Meta:
        model = MetricPoint
        fields = ("id", "stage", "name", "step", "value")
        read_only_fields = fields


class PromptSetSerializer(serializers.ModelSerializer[PromptSet]):
    class Meta:
        model = PromptSet
        fields = (
            "id",
            "slug",
            "name",
            "kind",
            "licence",
            "digest",
            "rows",
            "made_by",
            "provenance",
            "created_by",
            "created_at",
        )
        read_only_fields = fields


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    class Meta:
        model = Prompt
        fields = ("id", "prompt_set", "key", "position", "text", "messages", "tags")
        read_only_fields = fields


class TraceSerializer(serializers.ModelSerializer[Trace]):
    class Meta:
        model = Trace
        fields = ("id", "run", "imported", "prompt", "initial_response", "tokens", "finish", "created_at")
        read_only_fields = fields


class StepSerializer(serializers.ModelSerializer[TraceStep]):
    principle_key = serializers.CharField(source="principle.key", read_only=True)
    version = serializers.IntegerField(source="principle.version_id", read_only=True)

    class Meta:
        model = TraceStep
        fields = (
            "id", "trace", "round", "principle", "principle_key", "version", "critique_request", "critique",
            "revision_request", "revision", "flags", "sent_critique", "sent_revision", "tokens", "seed", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class ComparisonSerializer(serializers.ModelSerializer[Comparison]):
    class Meta:
        model = Comparison
        fields = (
            "id", "source", "run", "prompt", "prompt_set", "key", "prompt_text", "messages", "response_a", "response_b",
            "identical", "human_choice", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class JudgeSerializer(serializers.ModelSerializer[Judge]):
    class Meta:
        model = Judge
        fields = (
            "id", "name", "model_name", "model_digest", "template", "aggregation", "order_policy", "dtype", "backend",
            "layout", "sampling", "manner", "digest", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class JudgeEvaluationSerializer(serializers.ModelSerializer[JudgeEvaluation]):
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = JudgeEvaluation
        fields = (
            "id", "file_name", "file_digest", "format", "model", "params", "judge", "state", "reason", "advice", "done",
            "total", "eta_s", "report", "created_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class LabelSerializer(serializers.ModelSerializer[AILabel]):
    principle_key = serializers.CharField(source="principle.key", read_only=True, allow_null=True)
    version = serializers.IntegerField(source="principle.version_id", read_only=True, allow_null=True)

    class Meta:
        model = AILabel
        fields = (
            "id", "run", "comparison", "principle", "principle_key", "version", "judge", "question", "sent_ab",
            "sent_ba", "ab_logp_a", "ab_logp_b", "ba_logp_a", "ba_logp_b", "p_ab", "p_ba", "p_a", "p_neither",
            "votes", "clamp_low", "clamp_high", "p_a_clamped", "same_position", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class AuditSerializer(serializers.ModelSerializer[Audit]):
    class Meta:
        model = Audit
        fields = (
            "id", "auditor", "label", "step", "verdict", "choice", "critique_fair", "revision_better", "principle_fits",
            "change_needed", "blind", "blind_choice", "shown_first", "seconds", "confidence", "reason", "comment",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields


class VerdictSerializer(serializers.Serializer[Any]):
    """A verdict on one label or one step. `id` is chosen by the sender: sending it twice saves it once."""

    id = serializers.UUIDField()
    label = serializers.IntegerField(  # type: ignore[assignment]  # a field called as an attribute of every field
        required=False, allow_null=True, default=None
    )
    step = serializers.IntegerField(required=False, allow_null=True, default=None)
    verdict = serializers.ChoiceField(choices=Audit.Verdict.choices)
    choice = serializers.ChoiceField(choices=Audit.Choice.choices, required=False, allow_blank=True, default="")
    critique_fair = serializers.BooleanField(required=False, allow_null=True, default=None)
    revision_better = serializers.BooleanField(required=False, allow_null=True, default=None)
    principle_fits = serializers.BooleanField(required=False, allow_null=True, default=None)
    change_needed = serializers.BooleanField(required=False, allow_null=True, default=None)
    blind = serializers.BooleanField(required=False, default=False)
    confidence = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=4)
    reason = serializers.ChoiceField(choices=Audit.Reason.choices, required=False, allow_blank=True, default="")
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_COMMENT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["label"] is None) == (attrs["step"] is None):
            raise serializers.ValidationError("Name either a label or a step.")
        return attrs


class BuildSerializer(serializers.ModelSerializer[DatasetBuild]):
    class Meta:
        model = DatasetBuild
        fields = ("id", "run", "stage", "name", "digest", "rows", "path", "rules", "created_at")
        read_only_fields = fields


class BuildItemSerializer(serializers.ModelSerializer[DatasetItem]):
    class Meta:
        model = DatasetItem
        fields = ("id", "build", "position", "step", "trace", "label", "comparison", "audit")
        read_only_fields = fields


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    class Meta:
        model = Checkpoint
        fields = (
            "id", "run", "stage", "version", "constitution_digest", "parent", "reward_model", "path", "digest",
            "manifest", "size_bytes", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    class Meta:
        model = Evaluation
        fields = ("id", "run", "model", "checkpoint", "metrics", "created_at")
        read_only_fields = fields


class AnswerSerializer(serializers.ModelSerializer[EvaluationAnswer]):
    class Meta:
        model = EvaluationAnswer
        fields = ("id", "run", "model", "prompt", "text", "reward", "evasive", "boilerplate", "words")
        read_only_fields = fields
