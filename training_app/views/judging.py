"""What the pages of traces and of labels share: the audit form's way to the verb, neighbours, what was said before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.utils import timezone

from constitutions_app.access import AuthenticatedHttpRequest
from training_app.access import Hidden
from training_app.actions import record_audit
from training_app.actions.record_audit import Verdict
from training_app.forms import AuditForm
from training_app.models import Adjudication, AILabel, Audit, TraceStep
from training_app.refusals import AuditRefused
from training_app.verdicts import Final, final_of

Row = TypeVar("Row", bound=Model)


def save_audit(request: AuthenticatedHttpRequest, form: AuditForm, item: AILabel | TraceStep) -> Audit | None:
    """Keep the verdict, and say so with the time; None when it was refused, and the form then says why.

    The AI's choice is on these pages, so no choice made on them is blind.
    """
    if not form.is_valid():
        return None
    said = form.cleaned_data
    verdict = Verdict(
        verdict=said["verdict"],
        choice=said.get("choice", ""),
        critique_fair=said.get("critique_fair"),
        revision_better=said.get("revision_better"),
        blind=False,
        confidence=said["confidence"],
        reason=said["reason"],
        comment=said["comment"],
    )
    try:
        audit = record_audit(user=request.user, audit_id=said["idempotency_key"], item=item, said=verdict)
    except AuditRefused as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return None
    what = "Comment" if audit.verdict == Audit.Verdict.COMMENT else "Verdict"
    messages.success(request, f"{what} on {name_of_item(item)} saved {timezone.localtime(audit.created_at):%H:%M:%S}.")
    return audit


def name_of_item(item: AILabel | TraceStep) -> str:
    """An item as people call it: "label 207", "trace 31, round 2"."""
    return f"label {item.pk}" if isinstance(item, AILabel) else f"trace {item.trace_id}, round {item.round}"


def neighbours(rows: QuerySet[Row], pk: int) -> tuple[int | None, int | None]:
    """The ids before and after one row in a list that goes from new to old, whether or not it is in it. One query."""
    newer = rows.filter(pk__gt=pk).order_by("pk").values_list("pk", flat=True)[:1]
    older = rows.filter(pk__lt=pk).order_by("-pk").values_list("pk", flat=True)[:1]
    found = {key > pk: key for key in newer.union(older, all=True)}
    return found.get(True), found.get(False)


def audits_of(
    items: Iterable[AILabel] | Iterable[TraceStep], field: str, hidden: Hidden | None = None
) -> dict[int, list[Audit]]:
    """The audits of some steps or labels, oldest first, by item, without those of hidden items. One query."""
    found: dict[int, list[Audit]] = {}
    shown = [one for one in items if hidden is None or one not in hidden]
    audits = Audit.objects.filter(**{f"{field}__in": shown}).select_related("auditor")
    for audit in audits.order_by("created_at", "pk"):
        found.setdefault(getattr(audit, f"{field}_id"), []).append(audit)
    return found


def finals_of(
    items: Iterable[AILabel] | Iterable[TraceStep],
    field: str,
    audits: Mapping[int, Sequence[Audit]],
    hidden: Hidden | None = None,
) -> dict[int, Final]:
    """What people's verdicts on some steps or labels come to, by item, without hidden ones. One query."""
    shown = [one for one in items if hidden is None or one not in hidden]
    last: dict[int, list[Adjudication]] = {}
    for one in Adjudication.objects.filter(**{f"{field}__in": shown}).select_related("adjudicator"):
        last.setdefault(getattr(one, f"{field}_id"), []).append(one)
    finals = {item.pk: final_of(audits.get(item.pk, ()), last.get(item.pk, ())) for item in shown}
    return {pk: final for pk, final in finals.items() if final is not None}


def verdict_of(audits: Iterable[Audit], user_id: int) -> Audit | None:
    """One person's newest verdict among some audits; comments are none, and neither is one taken back."""
    own = [one for one in audits if one.auditor_id == user_id and one.is_verdict]
    return own[-1] if own and own[-1].verdict != Audit.Verdict.WITHDRAW else None
