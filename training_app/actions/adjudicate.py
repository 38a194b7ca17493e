"""Adjudicate: the last word on an item that people disagree about, with the reason. Sending twice saves once."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.models import Adjudication, AILabel, Audit, TraceStep
from training_app.refusals import AuditRefused

LONGEST_NOTE = 4000


def adjudicate(
    *, user: User, adjudication_id: UUID, item: AILabel | TraceStep, outcome: str, note: str
) -> Adjudication:
    """Keep the final `outcome` of an item: "a", "b" or "neither" for a label, "agree" or "override" for a step.

    Whether it overrides the AI follows from it. Raises AuditRefused, nothing written, without a note, for an outcome
    that the item cannot have, for an item that nobody has judged, or for an id that another item already has. Who may
    do it is decided in `access.get_label_to_adjudicate_for` and `get_step_to_adjudicate_for`.
    """
    said = note.replace("\x00", "").strip()
    if not said:
        raise AuditRefused("Say why: an adjudication needs a note that the others can read.", field="note")
    if len(said) > LONGEST_NOTE:
        raise AuditRefused(f"The note is longer than {LONGEST_NOTE} characters; shorten it.", field="note")
    verdict, choice = _verdict(item, outcome)
    if not item.audits.exclude(verdict=Audit.Verdict.COMMENT).exists():
        raise AuditRefused("Nobody has judged this item yet, so there is nothing to adjudicate.")
    label, step = (item, None) if isinstance(item, AILabel) else (None, item)
    with transaction.atomic():
        made, created = Adjudication.objects.get_or_create(
            id=adjudication_id,
            defaults={
                "adjudicator": user, "label": label, "step": step, "verdict": verdict, "choice": choice, "note": said,
            },
        )  # fmt: skip
        if made.adjudicator_id != user.pk or (made.label, made.step) != (label, step):
            raise AuditRefused("This decision's id is already used for another item; reload the page and decide again.")
        if created:
            data = {"item": f"{item._meta.label_lower}:{item.pk}", "verdict": verdict, "choice": choice, "note": said}
            record(actor=user, verb="audit.adjudicate", obj=made, data=data)
    return made


def _verdict(item: AILabel | TraceStep, outcome: str) -> tuple[str, str]:
    if isinstance(item, AILabel):
        if outcome not in Audit.Choice.values:
            raise AuditRefused("Choose response A, response B or neither.", field="outcome")
        agrees = outcome == (item.ai_choice or Audit.Choice.NEITHER)
        return (Audit.Verdict.AGREE if agrees else Audit.Verdict.OVERRIDE), outcome
    if outcome not in (Audit.Verdict.AGREE, Audit.Verdict.OVERRIDE):
        raise AuditRefused("Say whether the critique and revision stand, or are overridden.", field="outcome")
    return outcome, ""
