"""Which items a queue takes of those that match, in which order, and the line that says why each is there.

Chance goes by the md5 of seed and id, so the same seed draws the same items on every machine. "What training learns
most from" is the pull of a label on an undecided reward model, |p(A) - 1/2| after clamping (the gradient of its loss at
margin 0), times the dataset builds it stands in; for a step, the builds it stands in. The lines never say what the AI
or anybody chose, nor p(A).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Value, Window
from django.db.models.functions import MD5, Abs, Cast, Coalesce, Concat, RowNumber

from training_app.explorer.tokens import STATES, Fact, token
from training_app.models import AILabel, AuditQueue, DatasetItem, TraceStep
from training_app.refusals import QueueRefused

Rule = AuditQueue.Rule
LABELS_ONLY = {Rule.UNCERTAIN: "p(A)", Rule.ORDER: "two orders"}

DISPUTED = token(Fact.STATE, STATES.index("disputed"))
"""Auditors disagree, and nobody has had the last word."""

WHY = {
    Rule.UNIFORM: "Drawn by chance from everything that matches.",
    Rule.UNCERTAIN: "The judge was less sure here than elsewhere.",
    Rule.ORDER: "The judge chose by the place of a response, in one order and the other.",
    Rule.INFLUENTIAL: "Training learns more from this item than from others.",
    Rule.NEWEST: "It is among the newest.",
    Rule.DISAGREEMENT: "Auditors disagree about it.",
}
WHY_KNOWN = "Drawn by chance for this queue."
"""Of a calibration item: it looks like any other until it is decided."""


@dataclass(frozen=True)
class Drawn:
    """One item of a queue to be: its primary key and why it is there."""

    pk: int
    why: str


def draw(found: QuerySet[AILabel] | QuerySet[TraceStep], *, rule: str, size: int, seed: int) -> list[Drawn]:
    """At most `size` of the items found, in the order in which they are to be given. One query.

    Raises QueueRefused for a rule that asks of steps what only labels have.
    """
    is_label = found.model is AILabel
    chosen = Rule(rule)
    if not is_label and chosen in LABELS_ONLY:
        raise QueueRefused(f"Steps have no {LABELS_ONLY[chosen]}; choose another rule.", field="rule")
    rows: QuerySet[Any] = found.annotate(
        lot=MD5(Concat(Value(f"{seed} "), Cast("pk", models.TextField()), output_field=models.TextField()))
    )
    if chosen == Rule.STRATIFIED:
        return _stratified(rows, size)
    ordered = _ordered(rows, chosen, is_label)
    return [Drawn(pk, WHY[chosen]) for pk in ordered.values_list("pk", flat=True)[:size]]


def _ordered(rows: QuerySet[Any], rule: Rule, is_label: bool) -> QuerySet[Any]:
    if rule == Rule.UNCERTAIN:
        return rows.order_by(Abs(F("p_a") - 0.5), "lot")
    if rule == Rule.ORDER:
        return rows.filter(same_position=True).order_by(Abs(F("p_ab") - F("p_ba")).desc(), "lot")
    if rule == Rule.INFLUENTIAL:
        pull = F("builds") * (Abs(F("p_a_clamped") - 0.5) if is_label else Value(1.0))
        field = "label" if is_label else "step"
        used = DatasetItem.objects.filter(**{field: OuterRef("pk")}).values(field).annotate(n=Count("pk")).values("n")
        counted: QuerySet[Any] = rows.annotate(builds=Coalesce(Subquery(used), 0)).filter(builds__gt=0)
        return counted.order_by(models.ExpressionWrapper(pull, models.FloatField()).desc(), "lot")
    if rule == Rule.NEWEST:
        return rows.order_by("-pk")
    if rule == Rule.DISAGREEMENT:
        return rows.filter(facts__facets__contains=[DISPUTED]).order_by("lot")
    return rows.order_by("lot")


def _stratified(rows: QuerySet[Any], size: int) -> list[Drawn]:
    """One of each principle in turn: the same number of each as long as there are some left."""
    turn = Window(RowNumber(), partition_by=F("principle__key"), order_by=F("lot").asc())
    ranked = rows.annotate(turn=turn).order_by("turn", "lot")
    drawn = ranked.values_list("pk", "principle__title", "principle__key")[:size]
    return [
        Drawn(pk, f"Drawn by chance among those that cite {title or key or 'all principles at once'}.")
        for pk, title, key in drawn
    ]


def places_for_known(items: int, known: int, seed: int) -> Sequence[int]:
    """Where calibration items stand among the others: places from 0 in the whole, evenly spread."""
    if not known:
        return ()
    whole = items + known
    start = seed % max(whole // known, 1)
    return sorted({min(start + place * whole // known, whole - 1) for place in range(known)})
