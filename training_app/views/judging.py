"""What the pages of traces and of labels share: the audit form's way to the verb, neighbours, what was said before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TypeVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.utils import timezone

from constitutions_app.access import AuthenticatedHttpRequest
from constitutions_app.composed import Composed, Later
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
    return _either_side(_beside(rows, pk), pk)


def neighbours_among_all(model: type[Row], pk: int) -> tuple[int | None, int | None]:
    """The same among all rows of a table."""
    return _either_side(_beside_any(model).all(item=pk), pk)


def _beside(rows: QuerySet[Row], pk: int | Later) -> QuerySet[Row, int]:
    newer = rows.filter(pk__gt=pk).order_by("pk").values_list("pk", flat=True)[:1]
    older = rows.filter(pk__lt=pk).order_by("-pk").values_list("pk", flat=True)[:1]
    return newer.union(older, all=True)


@cache
def _beside_any(model: type[Model]) -> Composed[int]:
    return Composed(lambda: _beside(model._default_manager.all(), Later("item")))


def _either_side(keys: Iterable[int], pk: int) -> tuple[int | None, int | None]:
    found = {key > pk: key for key in keys}
    return found.get(True), found.get(False)


def audits_of(
    items: Iterable[AILabel] | Iterable[TraceStep], field: str, hidden: Hidden | None = None
) -> dict[int, list[Audit]]:
    """The audits of some steps or labels, oldest first, by item, without those of hidden items. One query."""
    found: dict[int, list[Audit]] = {}
    shown = [one.pk for one in items if hidden is None or one not in hidden]
    for audit in _audits(field).all(items=shown):
        found.setdefault(getattr(audit, f"{field}_id"), []).append(audit)
    return found


@cache
def _audits(field: str) -> Composed[Audit]:
    among = Audit.objects.filter(**{f"{field}__among": Later("items")})
    return Composed(lambda: among.select_related("auditor").order_by("created_at", "pk"))


@cache
def _adjudications(field: str) -> Composed[Adjudication]:
    among = Adjudication.objects.filter(**{f"{field}__among": Later("items")})
    return Composed(lambda: among.select_related("adjudicator"))


def finals_of(
    items: Iterable[AILabel] | Iterable[TraceStep],
    field: str,
    audits: Mapping[int, Sequence[Audit]],
    hidden: Hidden | None = None,
) -> dict[int, Final]:
    """What people's verdicts on some steps or labels come to, by item, without hidden ones. One query."""
    shown = [one for one in items if hidden is None or one not in hidden]
    last: dict[int, list[Adjudication]] = {}
    for one in _adjudications(field).all(items=[item.pk for item in shown]):
        last.setdefault(getattr(one, f"{field}_id"), []).append(one)
    finals = {item.pk: final_of(audits.get(item.pk, ()), last.get(item.pk, ())) for item in shown}
    return {pk: final for pk, final in finals.items() if final is not None}


def verdict_of(audits: Iterable[Audit], user_id: int) -> Audit | None:
    """One person's newest verdict among some audits; comments are none, and neither is one taken back."""
    own = [one for one in audits if one.auditor_id == user_id and one.is_verdict]
    return own[-1] if own and own[-1].verdict != Audit.Verdict.WITHDRAW else None
