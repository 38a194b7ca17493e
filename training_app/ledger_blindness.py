"""Ledger entries that would tell a person what they have yet to judge blind. Named in settings as LEDGER_KEEPS_BACK.

The ledger belongs to `constitutions_app`, which knows nothing of judging; it asks this function by that name. What is
kept back is an entry's text alone: that it stands in the chain, with its hash, everybody sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.contrib.auth.models import AnonymousUser, User

from constitutions_app.models import LedgerEntry
from training_app.access import Hidden, can_audit, hides_anything, hides_judgement
from training_app.models import AILabel, Comparison, TraceStep

VERBS = ("audit.choose", "audit.record", "audit.adjudicate", "queue.calibrate", "queue.prefer")
COUNTS = ("export.written",)
"""Verbs whose entries say how many items fit a question."""
Item = AILabel | TraceStep | Comparison
ITEMS: dict[str, type[Item]] = {
    "training_app.ailabel": AILabel,
    "training_app.tracestep": TraceStep,
    "training_app.comparison": Comparison,
}


def kept_back(user: User | AnonymousUser, entries: Iterable[LedgerEntry]) -> frozenset[int]:
    """The sequence numbers of those entries whose text this person is not told yet. At most six queries."""
    if not can_audit(user):
        return frozenset()
    entries = list(entries)
    counts = frozenset(entry.seq for entry in entries if entry.verb in COUNTS)
    about = {entry.seq: item for entry in entries if entry.verb in VERBS and (item := _item_of(entry))}
    hidden: Hidden = hides_judgement(user, about.values())
    kept = frozenset(seq for seq, item in about.items() if item in hidden)
    return kept | counts if counts and hides_anything(user) else kept


def _item_of(entry: LedgerEntry) -> Item | None:
    """What an entry is about, by its key alone. No query."""
    kind, _, pk = str(json.loads(entry.body)["data"].get("item", "")).partition(":")
    model = ITEMS.get(kind)
    return model(pk=int(pk)) if model and pk.isdigit() else None
