"""Audit: one person's verdict on one step or one AI label. Append-only; sending twice saves once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.models import AILabel, Audit, TraceStep
from training_app.refusals import AuditRefused

LONGEST_COMMENT = 4000


@dataclass(frozen=True)
class Verdict:
    """What a person says of an item. `choice` ("a", "b", "neither") is for labels, the four booleans are for steps."""

    verdict: str
    choice: str = ""
    critique_fair: bool | None = None
    revision_better: bool | None = None
    principle_fits: bool | None = None
    change_needed: bool | None = None
    blind: bool = False
    blind_choice: str = ""
    shown_first: str = ""
    seconds: int | None = None
    confidence: int | None = None
    reason: str = ""
    comment: str = ""


def record_audit(*, user: User, audit_id: UUID, item: AILabel | TraceStep, said: Verdict) -> Audit:
    """Keep a verdict under `audit_id`, which the page chose; the same id sent again returns the row already kept.

    A change of mind is another audit with another id. Raises AuditRefused, nothing written, for a verdict that is
    incomplete, or for an id that somebody else, or another item, already has.
    """
    with transaction.atomic():
        kept = keep_verdict(user, audit_id, item, said)
        if kept.is_new:
            record_verdict(user, kept.audit, item)
    return kept.audit


@dataclass(frozen=True)
class Kept:
    """The audit under an id, and whether it was written just now."""

    audit: Audit
    is_new: bool


def keep_verdict(user: User, audit_id: UUID, item: AILabel | TraceStep, said: Verdict) -> Kept:
    """The row alone, for a verb that goes on and then calls `record_verdict`, in one transaction. Refuses as above."""
    _check(item, said)
    label, step = (item, None) if isinstance(item, AILabel) else (None, item)
    words = asdict(said) | {"comment": said.comment.replace("\x00", "").strip()}
    audit = Audit(id=audit_id, auditor=user, label=label, step=step, **words)
    if Audit.objects.insert_once(audit):
        return Kept(audit, is_new=True)
    before = Audit.objects.get(pk=audit_id)
    if (before.auditor_id, before.label_id, before.step_id) != (audit.auditor_id, audit.label_id, audit.step_id):
        raise AuditRefused("This verdict's id is already used for another item; reload the page and judge it again.")
    return Kept(before, is_new=False)


def record_verdict(user: User, audit: Audit, item: AILabel | TraceStep) -> None:
    """The ledger's entry about a verdict that was written just now."""
    said = {part.name: getattr(audit, part.name) for part in fields(Verdict)}
    record(actor=user, verb="audit.record", obj=audit, data={"item": f"{item._meta.label_lower}:{item.pk}", **said})


def _check(item: AILabel | TraceStep, said: Verdict) -> None:
    """Every rule about one verdict, in the order a person would notice them. Raises AuditRefused."""
    if said.verdict not in Audit.Verdict.values:
        raise AuditRefused("Choose whether you agree, override or only comment.", field="verdict")
    if not {said.choice, said.blind_choice} <= {"", *Audit.Choice.values}:
        raise AuditRefused("The choice should be response A, response B or neither.", field="choice")
    if said.reason and said.reason not in Audit.Reason.values:
        raise AuditRefused("This reason is not one of the list.", field="reason")
    if said.confidence is not None and not 1 <= said.confidence <= 4:
        raise AuditRefused("Confidence goes from 1 (a guess) to 4 (certain).", field="confidence")
    if len(said.comment) > LONGEST_COMMENT:
        raise AuditRefused(f"The comment is longer than {LONGEST_COMMENT} characters; shorten it.", field="comment")
    if said.verdict == Audit.Verdict.COMMENT and not said.comment.strip():
        raise AuditRefused("Write the comment, or choose whether you agree.", field="comment")
    if isinstance(item, AILabel):
        _check_label(item, said)
    elif said.choice:
        raise AuditRefused(
            "A step has no response A or B to choose; say whether the revision is better.", field="choice"
        )


def _check_label(label: AILabel, said: Verdict) -> None:
    of_steps = (said.critique_fair, said.revision_better, said.principle_fits, said.change_needed)
    if any(one is not None for one in of_steps):
        raise AuditRefused("A label has no critique or revision to judge.", field="verdict")
    if said.verdict == Audit.Verdict.OVERRIDE and not said.choice:
        raise AuditRefused("To override the AI, choose response A, response B or neither.", field="choice")
    if said.verdict == Audit.Verdict.OVERRIDE and said.choice == label.ai_choice:
        raise AuditRefused("This is the AI's own choice; choose the other one, neither, or agree.", field="choice")
    if said.verdict == Audit.Verdict.AGREE and said.choice and said.choice != (label.ai_choice or "neither"):
        raise AuditRefused("Your choice differs from the AI's; override it instead of agreeing.", field="verdict")
