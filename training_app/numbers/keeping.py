"""When figures are computed: at once where there is little to read, else by a worker, and kept with their time.

A page never counts a large table. It looks whether there are more audits or labels than `AT_ONCE` by reading so many
keys and one more; if not, it computes what it shows. Otherwise it shows the kept report, and a person may ask for a
newer one; the sweeper asks by itself for the whole once there are audits newer than it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.http import QueryDict
from django.utils import timezone

from training_app.models import AILabel, Audit, AuditQueue, NumbersReport
from training_app.numbers.report import compute
from training_app.numbers.scope import Scope

AT_ONCE = {Audit: 500, AILabel: 2000}
"""Rows up to which a page computes by itself."""

MOST_KEPT = 200
"""Scopes with a kept report; the oldest make room."""

EVERY = timedelta(minutes=30)
"""How old the report of everything may be before the sweeper asks for another."""

SHORT_S = 20


@dataclass(frozen=True)
class Numbers:
    """What a page shows. `data` is None before a worker has computed it."""

    data: dict[str, Any] | None
    audits: int
    at: datetime | None
    is_waiting: bool
    is_live: bool
    """Computed for this page, from what stands in the database now."""
    is_withheld: bool = False
    """Kept figures that are not told: since then a queue was made, and its items were not left out of them."""
    is_blind: bool = False
    """Whether what queues can still give to somebody is left out."""


def numbers_of(scope: Scope) -> Numbers:
    """The figures of a scope: fresh where there is little to read, else as kept. Writes nothing."""
    if is_small():
        seen = Audit.objects.aggregate(newest=Max("created_at"))["newest"]
        queued = AuditQueue.objects.aggregate(newest=Max("pk"))["newest"] if scope.blind else None
        key = f"numbers:{scope.digest}:{seen and seen.timestamp()}:{queued}"
        if (known := cache.get(key)) is None:
            data, audits, _ = compute(scope)
            known = Numbers(data, audits, timezone.now(), is_waiting=False, is_live=True, is_blind=scope.blind)
            cache.set(key, known, SHORT_S)
        return known if isinstance(known, Numbers) else Numbers(None, 0, None, False, False)
    kept = NumbersReport.objects.filter(key=scope.digest).first()
    if kept is None:
        return Numbers(None, 0, None, is_waiting=False, is_live=False)
    withheld = scope.blind and _is_older_than_a_queue(kept)
    told = None if withheld else kept.data or None
    return Numbers(told, kept.audits, kept.computed_at, kept.is_waiting, False, withheld, is_blind=scope.blind)


def _is_older_than_a_queue(kept: NumbersReport) -> bool:
    """Whether a queue was made after a report, so that its items are not left out of it."""
    return kept.computed_at is not None and AuditQueue.objects.filter(created_at__gte=kept.computed_at).exists()


def is_small() -> bool:
    """Whether so few rows exist that a page may read them all. Two queries that stop at the limit."""
    return all(
        len(model._default_manager.order_by().values_list("pk", flat=True)[: most + 1]) <= most
        for model, most in AT_ONCE.items()
    )


def ask(scope: Scope) -> NumbersReport:
    """Note that somebody wants newer figures of a scope; a worker computes them. Asked twice, computed once."""
    row, _ = NumbersReport.objects.get_or_create(key=scope.digest, defaults={"scope": scope.to_query()})
    NumbersReport.objects.filter(pk=row.pk, asked_at=None).update(asked_at=Now())
    _make_room()
    return row


def renew() -> int:
    """Compute every report that was asked for and that no other worker computes; how many."""
    done = 0
    while _renew_one():
        done += 1
    return done


def _renew_one() -> bool:
    with transaction.atomic():
        asked = NumbersReport.objects.filter(asked_at__isnull=False).order_by("asked_at")
        row = asked.select_for_update(skip_locked=True).first()
        if row is None:
            return False
        data, audits, seconds = compute(scope_of(row))
        NumbersReport.objects.filter(pk=row.pk).update(
            data=data, audits=audits, seconds=seconds, computed_at=Now(), asked_at=None
        )
    return True


def scope_of(row: NumbersReport) -> Scope:
    """The scope a report is of."""
    asked = QueryDict(row.scope)
    return Scope.from_query(asked).of(blind="blind" in asked)


def waits() -> bool:
    """Whether there are reports to compute; that of everything is asked for here once it is older than `EVERY`."""
    _ask_for_everything()
    return NumbersReport.objects.filter(asked_at__isnull=False).exists()


def _ask_for_everything() -> None:
    whole = NumbersReport.objects.filter(key=Scope().digest).first()
    if whole is not None and (whole.is_waiting or (whole.computed_at or timezone.now()) > timezone.now() - EVERY):
        return
    if is_small():
        return
    newest = Audit.objects.aggregate(newest=Max("created_at"))["newest"]
    if whole is None or whole.computed_at is None or (newest is not None and newest > whole.computed_at):
        ask(Scope())


def _make_room() -> None:
    kept = NumbersReport.objects.exclude(key=Scope().digest).order_by("-pk").values_list("pk", flat=True)
    NumbersReport.objects.filter(pk__in=list(kept[MOST_KEPT:])).delete()
