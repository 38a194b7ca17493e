"""Who may see and do what in training. Each function fetches one object for one person and raises 404 or 403 itself.

Everybody with a role reads everything here; engineers launch and steer runs, auditors give verdicts, admins do both.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404

from constitutions_app.access import Role, has_role
from training_app.models import (
    AILabel,
    Checkpoint,
    Comparison,
    DatasetBuild,
    JudgeEvaluation,
    PromptSet,
    Run,
    RunStage,
    Trace,
    TraceStep,
)

Person = User | AnonymousUser


def can_launch(user: Person) -> bool:
    """Whether the person may launch, cancel and resume runs, load prompt sets and build datasets."""
    return has_role(user, Role.ENGINEER)


def can_audit(user: Person) -> bool:
    """Whether the person may give verdicts on steps and labels."""
    return has_role(user, Role.AUDITOR)


def require_reader(user: Person) -> None:
    """Raises PermissionDenied for somebody without any role."""
    if not has_role(user):
        raise PermissionDenied("You have no role here yet.")


def require_engineer(user: Person) -> None:
    """Raises PermissionDenied for somebody who may not launch and steer runs."""
    if not can_launch(user):
        raise PermissionDenied("Only engineers launch and steer runs.")


def require_auditor(user: Person) -> None:
    """Raises PermissionDenied for somebody who may not give verdicts."""
    if not can_audit(user):
        raise PermissionDenied("Only auditors give verdicts.")


def get_run_for(user: Person, run_id: UUID) -> Run:
    """The run, for reading, with its version, constitution and launcher."""
    require_reader(user)
    return get_object_or_404(Run.objects.select_related("version__constitution", "created_by", "exemplars"), pk=run_id)


def get_run_to_steer_for(user: Person, run_id: UUID) -> Run:
    """The run, for cancelling and resuming: engineers and admins."""
    run = get_run_for(user, run_id)
    require_engineer(user)
    return run


def get_stage_for(user: Person, run_id: UUID, slug: str) -> RunStage:
    """One stage of a run, for reading."""
    run = get_run_for(user, run_id)
    stage = get_object_or_404(RunStage, run=run, slug=slug)
    stage.run = run
    return stage


def get_prompt_set_for(user: Person, slug: str) -> PromptSet:
    """The prompt set, for reading."""
    require_reader(user)
    return get_object_or_404(PromptSet, slug=slug)


def get_trace_for(user: Person, pk: int) -> Trace:
    """The trace, for reading, with its prompt, and its run or the file it came from, and their version."""
    require_reader(user)
    related = ("prompt__prompt_set", "run__version__constitution", "imported__version__constitution")
    return get_object_or_404(Trace.objects.select_related(*related), pk=pk)


def get_step_for(user: Person, pk: int) -> TraceStep:
    """One step of a trace, for reading, with the principle it cites."""
    require_reader(user)
    steps = TraceStep.objects.select_related(
        "trace__prompt", "trace__run", "trace__imported", "principle__version__constitution"
    )
    return get_object_or_404(steps, pk=pk)


def get_step_to_audit_for(user: Person, pk: int) -> TraceStep:
    """One step of a trace, for giving a verdict: auditors and admins."""
    step = get_step_for(user, pk)
    require_auditor(user)
    return step


def get_comparison_for(user: Person, pk: int) -> Comparison:
    """The comparison, for reading."""
    require_reader(user)
    return get_object_or_404(Comparison.objects.select_related("prompt", "run"), pk=pk)


def get_label_for(user: Person, pk: int) -> AILabel:
    """The AI label, for reading, with its comparison, judge and the principle it cites."""
    require_reader(user)
    labels = AILabel.objects.select_related("comparison", "judge", "run", "principle__version__constitution")
    return get_object_or_404(labels, pk=pk)


def get_label_to_audit_for(user: Person, pk: int) -> AILabel:
    """The AI label, for giving a verdict: auditors and admins."""
    label = get_label_for(user, pk)
    require_auditor(user)
    return label


def get_judge_evaluation_for(user: Person, pk: UUID) -> JudgeEvaluation:
    """The judge evaluation, for reading, with its judge and who asked for it."""
    require_reader(user)
    return get_object_or_404(JudgeEvaluation.objects.select_related("judge", "created_by"), pk=pk)


def get_build_for(user: Person, pk: int) -> DatasetBuild:
    """The dataset build, for reading, with its run."""
    require_reader(user)
    return get_object_or_404(DatasetBuild.objects.select_related("run__version__constitution"), pk=pk)


def get_checkpoint_for(user: Person, pk: int) -> Checkpoint:
    """The checkpoint, for reading, with its run, version and parent."""
    require_reader(user)
    related = ("run", "version__constitution", "parent", "reward_model")
    return get_object_or_404(Checkpoint.objects.select_related(*related), pk=pk)


def get_checkpoint_to_promote_for(user: Person, pk: int) -> Checkpoint:
    """The checkpoint, for pointing an alias at it: engineers and admins."""
    checkpoint = get_checkpoint_for(user, pk)
    require_engineer(user)
    return checkpoint


def can_change_release_rules(user: Person) -> bool:
    """Whether the person may say which roles must sign a checkpoint off: those who answer for words or judgements."""
    return has_role(user, Role.AUTHOR, Role.REVIEWER)


def require_release_rules(user: Person) -> None:
    """Raises PermissionDenied for somebody who may not change the rules of release."""
    if not can_change_release_rules(user):
        raise PermissionDenied("Your role reads these rules and does not change them.")
