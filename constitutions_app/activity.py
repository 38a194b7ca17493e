"""Read side: what was done about one constitution, newest first, a page at a time.

Most verbs are recorded of the constitution itself; those of its threads, reviews and the like are found through the
rows that belong to it. Position in the order, never a count or an offset, says where a page begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.db.models import CharField, Q
from django.db.models.functions import Cast

from constitutions_app.models import (
    Alias,
    Constitution,
    Draft,
    Import,
    LedgerEntry,
    PublishingRules,
    Review,
    Scenario,
    Suggestion,
    Thread,
    Verdict,
    Version,
)

PAGE = 50

_BELONGING: tuple[tuple[type[models.Model], str], ...] = (
    (Alias, "constitution"),
    (Draft, "constitution"),
    (Import, "constitution"),
    (PublishingRules, "constitution"),
    (Review, "draft__constitution"),
    (Scenario, "constitution"),
    (Suggestion, "comment__thread__draft__constitution"),
    (Thread, "draft__constitution"),
    (Verdict, "review__draft__constitution"),
    (Version, "constitution"),
)
"""Rows that verbs may be recorded of, and the path from each to its constitution."""


@dataclass(frozen=True)
class Asked:
    """What to show of the activity: all of it, or one person's, one verb's, one principle's. `before` is a sequence."""

    person: int | None = None
    verb: str = ""
    principle: str = ""
    before: int | None = None


def entries_of(constitution: Constitution) -> models.QuerySet[LedgerEntry]:
    """Every ledger entry that is about the constitution or something of it."""
    own = Q(object_type=constitution._meta.label_lower, object_id=str(constitution.pk))
    for model, path in _BELONGING:
        rows = model._default_manager.filter(**{path: constitution}).order_by()
        ids = rows.annotate(as_text=Cast("pk", CharField())).values("as_text")
        own |= Q(object_type=model._meta.label_lower, object_id__in=ids)
    return LedgerEntry.objects.filter(own)


def page_of(constitution: Constitution, asked: Asked) -> tuple[list[LedgerEntry], bool]:
    """At most PAGE entries, newest first, and whether there are older ones. One query."""
    entries = entries_of(constitution)
    if asked.person is not None:
        entries = entries.filter(actor_id=asked.person)
    if asked.verb:
        entries = entries.filter(verb=asked.verb)
    if asked.principle:
        # The hashed body is canonical JSON, so this text stands in it exactly where a verb named the principle.
        entries = entries.filter(body__contains=f'"principle":"{asked.principle}"')
    if asked.before:
        entries = entries.filter(seq__lt=asked.before)
    found = list(entries.order_by("-seq")[: PAGE + 1])
    return found[:PAGE], len(found) > PAGE


def people_of(constitution: Constitution) -> list[tuple[int, str]]:
    """Who did something about it: ids and the names they had, in the order of names. One query."""
    rows = entries_of(constitution).exclude(actor=None).order_by("actor_name").values_list("actor_id", "actor_name")
    return sorted({int(pk): name for pk, name in rows.distinct()}.items(), key=lambda row: row[1])


def verbs_of(constitution: Constitution) -> list[str]:
    """The verbs that were done about it. One query."""
    return list(entries_of(constitution).order_by("verb").values_list("verb", flat=True).distinct())
