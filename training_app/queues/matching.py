"""Which labels or steps a queue is made of: the filters of the lists, read from their query string."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import QueryDict

from training_app.models import AILabel, AuditQueue, TraceStep
from training_app.refusals import QueueRefused

P_A = {"unsure": Q(p_a__gte=0.4, p_a__lte=0.6), "a": Q(p_a__gt=0.6), "b": Q(p_a__lt=0.4)}


def matching_labels(filters: str) -> QuerySet[AILabel]:
    """The AI labels that a query string of their list names. Raises QueueRefused for one that is not understood."""
    asked = _asked(filters, {"run", "principle", "orders", "p_a", "judge", "tag"})
    labels = AILabel.objects.all()
    if "run" in asked:
        labels = labels.filter(run_id=_run(asked["run"]))
    if "principle" in asked:
        labels = labels.filter(principle__key=asked["principle"])
    if "judge" in asked:
        labels = labels.filter(judge__digest=asked["judge"])
    if "tag" in asked:
        labels = labels.filter(comparison__prompt__tags__contains=[asked["tag"]])
    if "orders" in asked:
        labels = labels.filter(same_position=asked["orders"] == "same")
    if asked.get("p_a") in P_A:
        labels = labels.filter(P_A[asked["p_a"]])
    return labels


def matching_steps(filters: str) -> QuerySet[TraceStep]:
    """The trace steps that a query string of the traces' list names. Raises QueueRefused as above."""
    asked = _asked(filters, {"run", "principle", "flag", "file", "tag"})
    steps = TraceStep.objects.all()
    if "run" in asked:
        steps = steps.filter(trace__run_id=_run(asked["run"]))
    if asked.get("file", "").isdigit():
        steps = steps.filter(trace__imported_id=int(asked["file"]))
    if "principle" in asked:
        steps = steps.filter(principle__key=asked["principle"])
    if "flag" in asked:
        steps = steps.filter(flags__contains=[asked["flag"]])
    if "tag" in asked:
        steps = steps.filter(trace__prompt__tags__contains=[asked["tag"]])
    return steps


def kind_of(filters: str) -> str:
    """What a query string is about by itself: only traces are filtered by flag or file."""
    asked = QueryDict(filters.lstrip("?"))
    return AuditQueue.Kind.STEPS if asked.keys() & {"flag", "file"} else AuditQueue.Kind.LABELS


def _asked(filters: str, known: set[str]) -> dict[str, str]:
    asked = {name: value for name, value in QueryDict(filters.lstrip("?")).items() if value}
    if unknown := sorted(asked.keys() - known):
        raise QueueRefused(
            f"A queue cannot be filtered by {unknown[0].replace('_', ' ')!r} here. Take it out of the filter.",
            field="filters",
        )
    return {name: str(value) for name, value in asked.items()}


def _run(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise QueueRefused("The filter names no run.", field="filters") from None
