"""Who may see and do what in training. Each function fetches one object for one person and raises 404 or 403 itself.

Everybody with a role reads everything here; engineers launch and steer runs, auditors give verdicts, admins do both.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from constitutions_app.access import Role, has_role
from constitutions_app.composed import Composed, Later
from constitutions_app.models import PrincipleVersion
from training_app.models import (
    AILabel,
    Audit,
    AuditQueue,
    ChatTurn,
    Checkpoint,
    CheckpointSignature,
    Comparison,
    DatasetBuild,
    Export,
    HubCopy,
    JudgeEvaluation,
    PromptSet,
    QueueItem,
    Reservation,
    Run,
    RunGroup,
    RunStage,
    Trace,
    TraceStep,
)

Person = User | AnonymousUser

NOBODY = -(2**31)
"""A primary key that no person has."""


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


def get_runs_for(user: Person, run_ids: Iterable[UUID]) -> list[Run]:
    """Those of these runs that exist, each once and in the order asked for. One query."""
    require_reader(user)
    wanted = list(dict.fromkeys(run_ids))
    found = Run.objects.select_related("version__constitution", "source").in_bulk(wanted)
    return [found[pk] for pk in wanted if pk in found]


def get_run_to_steer_for(user: Person, run_id: UUID) -> Run:
    """The run, for cancelling and resuming: engineers and admins."""
    run = get_run_for(user, run_id)
    require_engineer(user)
    return run


def get_run_group_for(user: Person, group_id: UUID) -> RunGroup:
    """Runs that are compared, for reading."""
    require_reader(user)
    return get_object_or_404(RunGroup.objects.select_related("created_by"), pk=group_id)


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
    if (found := _LABEL.first(label=pk)) is None:
        raise Http404("There is no such label.")
    return found


_LABEL = Composed(
    lambda: (
        AILabel.objects.select_related("comparison", "judge", "run", "principle__version__constitution")
        .defer("principle__version__canonical", "run__config")
        .filter(pk=Later("label"))
    )
)


def get_label_to_audit_for(user: Person, pk: int) -> AILabel:
    """The AI label, for giving a verdict: auditors and admins."""
    label = get_label_for(user, pk)
    require_auditor(user)
    return label


def get_cited_principle_for(user: Person, pk: int) -> PrincipleVersion:
    """One principle at its version, for reading what was judged under it."""
    require_reader(user)
    return get_object_or_404(PrincipleVersion.objects.select_related("version__constitution"), pk=pk)


def can_adjudicate(user: Person, auditors: Iterable[int]) -> bool:
    """Whether the person may have the last word on an item that `auditors` judged.

    Auditors and reviewers who have not taken a side themselves; admins always, so that a small team is never stuck.
    """
    return has_role(user, Role.ADMIN) or (has_role(user, Role.AUDITOR, Role.REVIEWER) and user.pk not in set(auditors))


def get_label_to_adjudicate_for(user: Person, pk: int) -> AILabel:
    """The AI label, for having the last word on it."""
    label = get_label_for(user, pk)
    _require_neutral(user, label)
    return label


def get_step_to_adjudicate_for(user: Person, pk: int) -> TraceStep:
    """The step, for having the last word on it."""
    step = get_step_for(user, pk)
    _require_neutral(user, step)
    return step


def _require_neutral(user: Person, item: AILabel | TraceStep) -> None:
    judged = item.audits.exclude(verdict=Audit.Verdict.COMMENT)
    if item in hides_judgement(user, [item]):
        raise PermissionDenied("A queue can still give you this item to judge; judge it there first.")
    if not can_adjudicate(user, judged.values_list("auditor_id", flat=True)):
        raise PermissionDenied("An auditor or reviewer who has not judged the item decides between those who disagree.")


def get_judge_evaluation_for(user: Person, pk: UUID) -> JudgeEvaluation:
    """The judge evaluation, for reading, with its judge and who asked for it."""
    require_reader(user)
    return get_object_or_404(JudgeEvaluation.objects.select_related("judge", "created_by"), pk=pk)


def get_judge_evaluation_to_cancel_for(user: Person, pk: UUID) -> JudgeEvaluation:
    """The judge evaluation, for cancelling: engineers and admins."""
    found = get_judge_evaluation_for(user, pk)
    require_engineer(user)
    return found


def get_chat_turn_for(user: Person, pk: UUID) -> ChatTurn:
    """A question to checkpoints, for reading, with who answers."""
    require_reader(user)
    turns = ChatTurn.objects.select_related("left__run", "left__version__constitution", "right__run")
    return get_object_or_404(turns, pk=pk)


def get_told_chat_turn_for(user: Person, pk: UUID) -> ChatTurn:
    """The same to whoever may know whose answer is whose: refused to those who have yet to judge the pair blind."""
    turn = get_chat_turn_for(user, pk)
    pair = Comparison.objects.filter(chat=turn).first()
    if pair is not None and pair in hides_judgement(user, [pair]):
        raise PermissionDenied("You have yet to judge these two answers blind, in a queue. Judge them there.")
    return turn


def get_build_for(user: Person, pk: int) -> DatasetBuild:
    """The dataset build, for reading, with its run."""
    require_reader(user)
    return get_object_or_404(DatasetBuild.objects.select_related("run__version__constitution"), pk=pk)


def get_checkpoint_for(user: Person, pk: int) -> Checkpoint:
    """The checkpoint, for reading, with its run, version and parent."""
    require_reader(user)
    related = ("run", "version__constitution", "parent", "reward_model")
    return get_object_or_404(Checkpoint.objects.select_related(*related), pk=pk)


def get_checkpoint_to_download_for(user: Person, pk: int) -> Checkpoint:
    """Raises PermissionDenied for whoever may not have weights leave the app, Http404 for none."""
    checkpoint = get_checkpoint_for(user, pk)
    require_engineer(user)
    return checkpoint


def get_checkpoint_to_promote_for(user: Person, pk: int) -> Checkpoint:
    """The checkpoint, for pointing an alias at it: engineers and admins."""
    checkpoint = get_checkpoint_for(user, pk)
    require_engineer(user)
    return checkpoint


def get_hub_copy_to_cancel_for(user: Person, pk: UUID) -> HubCopy:
    """A handing-on, for cancelling it: engineers and admins."""
    require_reader(user)
    found = get_object_or_404(HubCopy.objects.select_related("created_by"), pk=pk)
    require_engineer(user)
    return found


def get_signature_to_cancel_for(user: Person, pk: UUID) -> CheckpointSignature:
    """A signature under way, for cancelling it: engineers and admins."""
    require_reader(user)
    found = get_object_or_404(CheckpointSignature.objects.select_related("created_by"), pk=pk)
    require_engineer(user)
    return found


def exports_of(user: Person) -> QuerySet[Export]:
    """A person's own exports: what a file leaves out depends on who asked for it, so nobody else has it."""
    require_reader(user)
    return Export.objects.filter(created_by=user.pk or NOBODY).select_related("run", "created_by")


def get_export_for(user: Person, pk: UUID) -> Export:
    """One of the person's own exports; 404 for everybody else's."""
    return get_object_or_404(exports_of(user), pk=pk)


def can_change_release_rules(user: Person) -> bool:
    """Whether the person may say which roles must sign a checkpoint off: those who answer for words or judgements."""
    return has_role(user, Role.AUTHOR, Role.REVIEWER)


def require_release_rules(user: Person) -> None:
    """Raises PermissionDenied for somebody who may not change the rules of release."""
    if not can_change_release_rules(user):
        raise PermissionDenied("Your role reads these rules and does not change them.")


def get_queue_for(user: Person, pk: int) -> AuditQueue:
    """The queue, for reading."""
    require_reader(user)
    return get_object_or_404(AuditQueue.objects.select_related("created_by", "calibration_set"), pk=pk)


def can_make_queues(user: Person) -> bool:
    """Whether the person may make queues, say whom they are for, and close them: engineers, auditors and admins."""
    return has_role(user, Role.ENGINEER, Role.AUDITOR)


def get_queue_to_change_for(user: Person, pk: int) -> AuditQueue:
    """The queue, for closing it and saying whom it is for: whoever made it, engineers and admins."""
    queue = get_queue_for(user, pk)
    if not (can_make_queues(user) and (queue.created_by_id == user.pk or can_launch(user))):
        raise PermissionDenied("Whoever made a queue, and engineers, change it.")
    return queue


def is_for(user: Person, queue: AuditQueue) -> bool:
    """Whether the person is given items of this queue. One query where people are named."""
    if not can_audit(user):
        return False
    people = set(queue.people.values_list("pk", flat=True))
    return not people or user.pk in people


def get_queue_to_judge_for(user: Person, pk: int) -> AuditQueue:
    """The queue, for taking items from it: auditors and admins, where it names people only those."""
    queue = get_queue_for(user, pk)
    require_auditor(user)
    if not is_for(user, queue):
        raise PermissionDenied("This queue is for other people.")
    return queue


def get_reservation_for(user: Person, queue_id: int, position: int) -> Reservation:
    """What the person was given at a place of a queue, with item and queue. 404 where they were not."""
    require_auditor(user)
    found = _RESERVATION.first(queue=queue_id, position=position, auditor=user.pk)
    if found is None:
        raise Http404("You were not given this item.")
    return found


_RESERVATION = Composed(
    lambda: Reservation.objects.given().filter(
        queue_id=Later("queue"), item__position=Later("position"), auditor_id=Later("auditor")
    )
)


@dataclass(frozen=True)
class Hidden:
    """Primary keys of items whose judgement a person is not told: the AI's choice, p(A), and what others said."""

    labels: frozenset[int] = frozenset()
    steps: frozenset[int] = frozenset()
    comparisons: frozenset[int] = frozenset()
    """Human comparisons whose known answer is asked of this person, and pairs whose authors they are not to know."""

    def __contains__(self, item: object) -> bool:
        if isinstance(item, AILabel):
            return item.pk in self.labels
        if isinstance(item, TraceStep):
            return item.pk in self.steps
        if isinstance(item, Audit):
            return item.label_id in self.labels or item.step_id in self.steps
        return isinstance(item, Comparison) and item.pk in self.comparisons

    def has(self, kind: str, key: Any) -> bool:
        """Whether the label ("label"), step ("step") or comparison with this primary key is one of them."""
        return key in {"label": self.labels, "step": self.steps, "comparison": self.comparisons}[kind]

    def __bool__(self) -> bool:
        return bool(self.labels or self.steps or self.comparisons)


def hides_judgement(user: Person, items: Iterable[Model | None]) -> Hidden:
    """Which of these labels, steps, audits and comparisons this person has yet to judge blind.

    The one function by which pages, API, exports and lists decide. An item is hidden from everybody to whom an open
    queue can still give it, until they have chosen, refused it, or asked to see it. No query for who cannot audit;
    else at most one for each kind of item among `items`.
    """
    named: list[tuple[str, Any]] = []
    for item in items:
        if isinstance(item, AILabel):
            named.append(("label", item.pk))
        elif isinstance(item, TraceStep):
            named.append(("step", item.pk))
        elif isinstance(item, Audit):
            named += [("label", item.label_id)] if item.label_id else [("step", item.step_id)]
        elif isinstance(item, Comparison):
            named.append(("comparison", item.pk))
    return hidden_among(user, named)


def hidden_among(user: Person, items: Iterable[tuple[str, Any]]) -> Hidden:
    """The same for items that are named by what they are, as in `Hidden.has`, and their primary keys."""
    keys: dict[str, list[Any]] = {kind: [] for kind in _FIELDS}
    for kind, key in items:
        keys[kind].append(key)
    if not any(keys.values()) or not can_audit(user):
        return Hidden()
    return Hidden(*(_kept(user, kind, found) for kind, found in keys.items()))


def hidden_items(user: Person, kind: str) -> QuerySet[QueueItem, int]:
    """Primary keys of all labels ("label"), steps ("step") or comparisons that are hidden from the person; lazy.

    For conditions on whole tables. Raises KeyError for another kind.
    """
    return _waiting(user.pk or NOBODY, kind) if can_audit(user) else _waiting(NOBODY, kind).none()


def hidden_in_sql(user: Person, kind: str) -> tuple[str, list[Any]]:
    """The same as a statement and its values, for statements of the explorer's own; for who can audit."""
    return _waiting_composed(kind).statement(person=user.pk)


def hides_anything(user: Person) -> bool:
    """Whether any label, step or comparison is hidden from the person. One query, none for who cannot audit."""
    if not can_audit(user):
        return False
    return bool(_ANYTHING.all(person=user.pk))


def items_to_come(kind: str) -> QuerySet[QueueItem, int]:
    """Primary keys of the same kinds that an open queue can still give to somebody, or that somebody holds; lazy.

    Whoever they are hidden from, what `hidden_items` says of anybody is among them.
    """
    field = _FIELDS[kind]
    held = Reservation.objects.filter(item=OuterRef("pk"), state=Reservation.State.OPEN)
    come = QueueItem.objects.exclude(**{field: None})
    come = come.filter(Q(queue__closed_at=None, taken__lt=F("wanted")) | Exists(held))
    return come.values_list(field, flat=True)


_FIELDS = {"label": "label_id", "step": "step_id", "comparison": "comparison_id"}


def _waiting(user_id: int | Later, kind: str) -> QuerySet[QueueItem, int]:
    field = _FIELDS[kind]
    waiting = QueueItem.objects.exclude(**{field: None})
    mine = Reservation.objects.filter(auditor_id=user_id, **{f"item__{field}": OuterRef(field)})
    holds = Reservation.objects.filter(auditor_id=user_id, item=OuterRef("pk"), state=Reservation.State.OPEN)
    meant = Q(queue__people=None) | Q(queue__people=user_id)
    can_come = Q(queue__closed_at=None, taken__lt=F("wanted")) & meant
    seen = Exists(mine.filter(~Q(choice="") | Q(state=Reservation.State.REFUSED)))
    waiting = waiting.filter(can_come | Exists(holds)).filter(~seen)
    if kind != "comparison":
        waiting = waiting.filter(~Exists(Audit.objects.filter(auditor_id=user_id, **{field: OuterRef(field)})))
    return waiting.values_list(field, flat=True)


def _kept(user: Person, kind: str, ids: list[int]) -> frozenset[int]:
    return frozenset(_waiting_among(kind).all(person=user.pk, ids=ids)) if ids else frozenset()


@functools.cache
def _waiting_composed(kind: str) -> Composed[int]:
    return Composed(lambda: _waiting(Later("person"), kind))


@functools.cache
def _waiting_among(kind: str) -> Composed[int]:
    return Composed(lambda: _waiting(Later("person"), kind).filter(**{f"{_FIELDS[kind]}__among": Later("ids")}))


def _one_of_each() -> QuerySet[QueueItem, int]:
    first, *others = (_waiting(Later("person"), kind)[:1] for kind in _FIELDS)
    return first.union(*others, all=True)


_ANYTHING: Composed[int] = Composed(_one_of_each)
