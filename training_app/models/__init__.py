"""What the rules did, as rows: prompts, runs, traces, labels, audits, dataset builds, checkpoints, evaluations."""

from __future__ import annotations

from training_app.models.adjudication import Adjudication
from training_app.models.audit import Audit, AuditImport
from training_app.models.chat import ChatTurn
from training_app.models.checkpoint import Checkpoint, Evaluation, EvaluationAnswer
from training_app.models.dataset import DatasetBuild, DatasetItem
from training_app.models.exemplars import ExemplarSet
from training_app.models.export import Export
from training_app.models.facts import AuditFacts, ComparisonFacts, LabelFacts, RunAudits, RunTally, StepFacts
from training_app.models.hub_copy import HubCopy
from training_app.models.judge_evaluation import JudgeEvaluation
from training_app.models.judgement import AILabel, Comparison, Judge
from training_app.models.numbers import NumbersReport
from training_app.models.pairs import AnnotatedPair, PairImport
from training_app.models.prompt import Prompt, PromptSet
from training_app.models.queue import AuditorSettings, AuditQueue, Exposure, QueueItem, Reservation
from training_app.models.registered_model import RegisteredModel
from training_app.models.release import CheckpointAlias, ReleaseRules, SignOff
from training_app.models.run import MetricPoint, Run, RunEvent, RunStage
from training_app.models.run_group import RunGroup
from training_app.models.run_queue import RunQueue
from training_app.models.saved_view import SavedView
from training_app.models.signature import CheckpointSignature
from training_app.models.trace import Trace, TraceImport, TraceStep

__all__ = [
    "AILabel",
    "Adjudication",
    "AnnotatedPair",
    "Audit",
    "AuditFacts",
    "AuditImport",
    "AuditQueue",
    "AuditorSettings",
    "ChatTurn",
    "Checkpoint",
    "CheckpointAlias",
    "CheckpointSignature",
    "Comparison",
    "ComparisonFacts",
    "DatasetBuild",
    "DatasetItem",
    "Evaluation",
    "EvaluationAnswer",
    "ExemplarSet",
    "Export",
    "Exposure",
    "HubCopy",
    "Judge",
    "JudgeEvaluation",
    "LabelFacts",
    "MetricPoint",
    "NumbersReport",
    "PairImport",
    "Prompt",
    "PromptSet",
    "QueueItem",
    "RegisteredModel",
    "ReleaseRules",
    "Reservation",
    "Run",
    "RunAudits",
    "RunEvent",
    "RunGroup",
    "RunQueue",
    "RunStage",
    "RunTally",
    "SavedView",
    "SignOff",
    "StepFacts",
    "Trace",
    "TraceImport",
    "TraceStep",
]
