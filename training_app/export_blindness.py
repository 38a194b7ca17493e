"""What an export leaves out, and whether its file may still be handed out.

Whoever asked for it must not be told what they have yet to judge blind. When the writing begins, what is hidden from
them then is noted and left out (`hidden_now`). A queue that is made afterwards, or a new role, may hide items that the
file tells; so every download asks again (`come_since`), and is refused until the person has judged them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict

from training_app.access import Person, hidden_items
from training_app.explorer.filters import Filters
from training_app.explorer.items import fitting
from training_app.models import AILabel, Audit, Comparison, Export, TraceStep
from training_app.preference_rows import LeftOut

HIDES: Mapping[str, tuple[str, ...]] = {
    "label": ("label",),
    "step": ("step",),
    "comparison": ("comparison",),
    "audit": ("label", "step"),
    Export.What.LABELS: ("label", "comparison"),
    Export.What.TRACES: ("step",),
}
"""What an export of a kind tells the judgement of."""
PAIRS = {"label": ("label", "comparison"), "comparison": ("label", "comparison")}
"""The same where its pairs are annotated: with what people chose, and with all labels of a comparison."""

PASSING = ("state", "final", "auditor", "commented", "imported", "stale", "like", "constitution")
"""Filters whose answer may have changed since: whatever fits the others may stand in the file."""


def told_of(export: Export) -> str:
    """The kind of item of an export of the explorer, else what of its run."""
    return asked_in(export).kind if export.what == Export.What.ITEMS else export.what


def asked_in(export: Export) -> Filters:
    """The question of an export of the explorer."""
    return Filters.from_query(QueryDict(export.question))


def hidden_now(user: Person, export: Export) -> dict[str, list[int]]:
    """Kind of item → primary keys of those that are hidden from the person now, sorted. Two queries at most."""
    told = told_of(export)
    kinds = PAIRS.get(told, HIDES[told]) if export.form == Export.Form.ICAI else HIDES[told]
    return {kind: sorted(hidden_items(user, kind)) for kind in kinds}


def left_out_of(export: Export) -> LeftOut:
    """What was hidden when the writing began."""
    kept = {kind: frozenset(keys) for kind, keys in export.left_out.items()}
    return LeftOut(*(kept.get(kind, frozenset()) for kind in ("label", "step", "comparison")))


def come_since(user: Person, export: Export) -> int:
    """How many items that the file may tell are hidden from the person now. Four queries at most.

    An item may be counted that is not in the file, never the other way round.
    """
    kind, found = told_of(export), 0
    for item, keys in hidden_now(user, export).items():
        left_out = frozenset(export.left_out.get(item, ()))
        new = [key for key in keys if key not in left_out]
        if new and kind == "audit":
            said = Q(label__in=new) if item == "label" else Q(step__in=new)
            found += Audit.objects.filter(said, facts__pk__lte=export.last).values(item).distinct().count()
        elif new and kind in ("label", "step", "comparison"):
            lasting = fitting(asked_in(export).without(*PASSING)).filter(pk__lte=export.last)
            found += _among(lasting, kind, item, new)
        elif new:
            found += _of_run(export, item, new)
    return found


def _among(lasting: QuerySet[Any], kind: str, item: str, new: Sequence[int]) -> int:
    """How many of these items are told with labels, steps or comparisons that fit."""
    if item == kind:
        return lasting.filter(pk__in=new).count()
    if item == "comparison":
        return Comparison.objects.filter(pk__in=new, labels__in=lasting).distinct().count()
    return AILabel.objects.filter(pk__in=new, comparison__in=lasting).count()


def _of_run(export: Export, item: str, new: Sequence[int]) -> int:
    """How many of these items are of the export's run, or of the comparisons that it trains on."""
    if item == "label":
        return AILabel.objects.filter(run=export.run_id, pk__in=new).count()
    if item == "step":
        return TraceStep.objects.filter(trace__run=export.run_id, pk__in=new).count()
    mine = Q(prompt_set__runs=export.run_id) | Q(run=export.run_id) | Q(labels__run=export.run_id)
    return Comparison.objects.filter(mine, pk__in=new).distinct().count()
