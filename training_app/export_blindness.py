"""What an export leaves out, and whether its file may still be handed out.

Whoever asked for it must not be told what they have yet to judge blind. When the writing begins, what is hidden from
them then is noted and left out (`hidden_now`). A queue that is made afterwards, or a new role, may hide items that the
file tells; so every download asks again (`come_since`), and is refused until the person has judged them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db.models import Q
from django.http import QueryDict

from training_app.access import Person, hidden_items
from training_app.explorer.filters import Filters
from training_app.explorer.items import fitting
from training_app.exports import LeftOut
from training_app.models import AILabel, Audit, Comparison, Export, TraceStep

HIDES: Mapping[str, tuple[str, ...]] = {
    "label": ("label",),
    "step": ("step",),
    "comparison": ("comparison",),
    "audit": ("label", "step"),
    Export.What.LABELS: ("label", "comparison"),
    Export.What.TRACES: ("step",),
}
"""What an export of a kind tells the judgement of."""

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
    return {kind: sorted(hidden_items(user, kind)) for kind in HIDES[told_of(export)]}


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
            lasting = fitting(asked_in(export).without(*PASSING))
            found += lasting.filter(pk__in=new, pk__lte=export.last).count()
        elif new:
            found += _of_run(export, item, new)
    return found


def _of_run(export: Export, item: str, new: Sequence[int]) -> int:
    """How many of these items are of the export's run, or of the comparisons that it trains on."""
    if item == "label":
        return AILabel.objects.filter(run=export.run_id, pk__in=new).count()
    if item == "step":
        return TraceStep.objects.filter(trace__run=export.run_id, pk__in=new).count()
    mine = Q(prompt_set__runs=export.run_id) | Q(run=export.run_id) | Q(labels__run=export.run_id)
    return Comparison.objects.filter(mine, pk__in=new).distinct().count()
