"""Which labels or steps a queue is made of: the explorer's question, read from its query string."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from training_app.access import Person
from training_app.explorer import items
from training_app.explorer.filters import PLURALS, Filters
from training_app.models import AuditQueue
from training_app.refusals import QueueRefused

KINDS: Mapping[str, str] = {AuditQueue.Kind.LABELS: "label", AuditQueue.Kind.STEPS: "step"}
PLACES = {"after", "before", "page"}
"""What a list's address says of where one is in it: nothing to a queue."""


def matching(kind: str, filters: str, user: Person) -> QuerySet[Any]:
    """The items of one kind that a query string of the explorer names, as `AILabel` or `TraceStep` rows.

    What the person who makes the queue has yet to judge blind is left out where the filter tells of its judgement.
    Raises QueueRefused for a filter that is not understood, or that is about another kind of item.
    """
    asked = QueryDict(filters.lstrip("?"), mutable=True)
    known = {one.name for one in fields(Filters)} | PLACES
    if unknown := sorted(name for name, value in asked.items() if value and name not in known):
        raise QueueRefused(
            f"A queue cannot be filtered by {unknown[0][:40]!r}. Take it out of the filter.", field="filters"
        )
    if (about := asked.get("kind") or KINDS[kind]) != KINDS[kind]:
        words = PLURALS.get(about, "something else")
        raise QueueRefused(f"The filter is about {words}; this queue would hold {PLURALS[KINDS[kind]]}.", field="kind")
    asked["kind"] = KINDS[kind]
    read = Filters.from_query(asked).without("sort")
    if read.problems:
        raise QueueRefused(read.problems[0], field="filters")
    return items.matching(read, user)


def kind_of(filters: str) -> str:
    """What a query string is about."""
    kind = QueryDict(filters.lstrip("?")).get("kind")
    return AuditQueue.Kind.STEPS if kind == "step" else AuditQueue.Kind.LABELS
