"""The admin site of training: everything can be looked at; what the pipeline made, nobody edits by hand.

Runs and stages are steered by their verbs (cancel, resume), which keep leases, states and ledger together; so here they
are for reading too.
"""

from __future__ import annotations

from django.contrib import admin

from constitutions_app.admin import FrozenAdmin
from training_app.models import (
    Adjudication,
    AILabel,
    AnnotatedPair,
    Audit,
    AuditFacts,
    AuditImport,
    AuditorSettings,
    AuditQueue,
    ChatTurn,
    Checkpoint,
    CheckpointAlias,
    CheckpointSignature,
    Comparison,
    ComparisonFacts,
    DatasetBuild,
    DatasetItem,
    Evaluation,
    EvaluationAnswer,
    ExemplarSet,
    Export,
    Exposure,
    HubCopy,
    Judge,
    JudgeEvaluation,
    LabelFacts,
    MetricPoint,
    NumbersReport,
    PairImport,
    Prompt,
    PromptSet,
    QueueItem,
    RegisteredModel,
    ReleaseRules,
    Reservation,
    Run,
    RunAudits,
    RunEvent,
    RunGroup,
    RunQueue,
    RunStage,
    RunTally,
    SavedView,
    SignOff,
    StepFacts,
    Trace,
    TraceImport,
    TraceStep,
)


class ReadOnly(FrozenAdmin):
    """Lists and shows, to admins; adds, changes and deletes nothing."""


@admin.register(Run)
class RunAdmin(ReadOnly):
    list_display = ("number", "name", "version", "preset", "state", "device", "created_by", "created_at")
    list_filter = ("state", "preset")
    list_select_related = ("version", "created_by")
    search_fields = ("name", "reason")


@admin.register(RunStage)
class RunStageAdmin(ReadOnly):
    list_display = ("run", "position", "slug", "state", "done", "total", "exit_code")
    list_filter = ("slug", "state")
    list_select_related = ("run",)


@admin.register(RunEvent)
class RunEventAdmin(ReadOnly):
    list_display = ("id", "stage_id", "seq", "kind", "at")
    list_filter = ("kind",)


@admin.register(MetricPoint)
class MetricPointAdmin(ReadOnly):
    list_display = ("stage_id", "name", "step", "value")


@admin.register(PromptSet)
class PromptSetAdmin(ReadOnly):
    list_display = ("slug", "name", "kind", "rows", "digest", "created_at")
    list_filter = ("kind",)


@admin.register(Prompt)
class PromptAdmin(ReadOnly):
    list_display = ("prompt_set", "position", "key", "text")
    list_select_related = ("prompt_set",)


@admin.register(Trace)
class TraceAdmin(ReadOnly):
    list_display = ("id", "run_id", "prompt", "tokens", "finish")
    list_select_related = ("prompt",)


@admin.register(TraceStep)
class TraceStepAdmin(ReadOnly):
    list_display = ("id", "trace_id", "round", "principle", "flags")
    list_select_related = ("principle",)


@admin.register(Comparison)
class ComparisonAdmin(ReadOnly):
    list_display = ("id", "source", "run_id", "key", "identical", "human_choice")
    list_filter = ("source", "identical")


@admin.register(AILabel)
class AILabelAdmin(ReadOnly):
    list_display = ("id", "run_id", "comparison_id", "principle", "judge", "p_a", "same_position")
    list_filter = ("same_position",)
    list_select_related = ("principle", "judge")


@admin.register(Judge)
class JudgeAdmin(ReadOnly):
    list_display = ("name", "template", "dtype", "digest")


@admin.register(JudgeEvaluation)
class JudgeEvaluationAdmin(ReadOnly):
    list_display = ("file_name", "format", "judge", "state", "created_by", "created_at")
    list_select_related = ("judge", "created_by")


admin.site.register([ExemplarSet, RegisteredModel, TraceImport, PairImport, AnnotatedPair], ReadOnly)
admin.site.register(
    [LabelFacts, StepFacts, ComparisonFacts, AuditFacts, RunTally, RunAudits, SavedView, RunGroup, RunQueue], ReadOnly
)
admin.site.register([AuditQueue, QueueItem, Reservation, AuditorSettings, Exposure], ReadOnly)


@admin.register(Audit)
class AuditAdmin(ReadOnly):
    list_display = ("id", "auditor", "label_id", "step_id", "verdict", "choice", "blind", "created_at")
    list_filter = ("verdict", "blind")
    list_select_related = ("auditor",)


@admin.register(DatasetBuild)
class DatasetBuildAdmin(ReadOnly):
    list_display = ("id", "run_id", "stage", "name", "rows", "digest")
    list_filter = ("stage",)


@admin.register(DatasetItem)
class DatasetItemAdmin(ReadOnly):
    list_display = ("id", "build_id", "position", "step_id", "trace_id", "label_id", "comparison_id", "audit_id")


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnly):
    list_display = ("id", "run", "stage", "version", "digest", "size_bytes", "created_at")
    list_filter = ("stage",)
    list_select_related = ("run", "version")


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnly):
    list_display = ("id", "run_id", "model", "checkpoint_id", "created_at")


@admin.register(EvaluationAnswer)
class EvaluationAnswerAdmin(ReadOnly):
    list_display = ("id", "run_id", "model", "prompt_id", "reward", "evasive", "boilerplate", "words")


@admin.register(CheckpointAlias)
class CheckpointAliasAdmin(ReadOnly):
    list_display = ("constitution", "name", "checkpoint", "moved_by", "moved_at")
    list_select_related = ("constitution", "checkpoint", "moved_by")


@admin.register(SignOff)
class SignOffAdmin(ReadOnly):
    list_display = ("checkpoint", "role", "word", "person", "created_at")
    list_filter = ("role", "word")
    list_select_related = ("checkpoint", "person")


@admin.register(ReleaseRules)
class ReleaseRulesAdmin(ReadOnly):
    list_display = ("constitution", "roles", "updated_by", "updated_at")
    list_select_related = ("constitution", "updated_by")


@admin.register(Adjudication)
class AdjudicationAdmin(ReadOnly):
    list_display = ("id", "adjudicator", "label_id", "step_id", "verdict", "choice", "created_at")
    list_filter = ("verdict",)
    list_select_related = ("adjudicator",)


@admin.register(AuditImport)
class AuditImportAdmin(ReadOnly):
    list_display = ("id", "run_id", "file_name", "format", "source", "rows", "created_by", "created_at")
    list_select_related = ("created_by",)


@admin.register(NumbersReport)
class NumbersReportAdmin(ReadOnly):
    list_display = ("id", "scope", "audits", "seconds", "computed_at", "asked_at")


@admin.register(ChatTurn)
class ChatTurnAdmin(ReadOnly):
    list_display = ("id", "left", "right", "state", "created_by", "created_at")
    list_filter = ("state",)
    list_select_related = ("left", "right", "created_by")


@admin.register(CheckpointSignature)
class CheckpointSignatureAdmin(ReadOnly):
    list_display = ("id", "checkpoint", "fingerprint", "state", "created_by", "created_at")
    list_filter = ("state",)
    list_select_related = ("checkpoint", "created_by")


@admin.register(HubCopy)
class HubCopyAdmin(ReadOnly):
    list_display = ("id", "checkpoint", "repository", "commit", "state", "created_by", "created_at")
    list_filter = ("state",)
    list_select_related = ("checkpoint", "created_by")


@admin.register(Export)
class ExportAdmin(ReadOnly):
    list_display = ("id", "what", "form", "state", "done", "bytes", "created_by", "created_at", "expires_at")
    list_filter = ("state", "what", "form")
    list_select_related = ("created_by",)
