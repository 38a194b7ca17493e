"""How far a queue is, and who decided how much of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Count
from django.utils import timezone

from training_app.models import AuditQueue, Comparison, Reservation


@dataclass(frozen=True)
class Share:
    """How many items of a queue one person has decided."""

    person: User
    decided: int


def decided_today(read: AuditQueue, person: User) -> int:
    """How many items of a queue the person decided since midnight. One query, by an index."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    mine = Reservation.objects.filter(queue=read, auditor=person, state="decided", decided_at__gte=midnight)
    return mine.count()


def preferred(pair: Comparison) -> Mapping[str, int]:
    """How many people chose what of two answers: "a" (the left one's), "b", "neither". One query."""
    decided = Reservation.objects.filter(item__comparison=pair, state__in=("decided", "late"))
    return dict(decided.order_by().values_list("choice").annotate(n=Count("pk")))


def shares_of(read: AuditQueue) -> Sequence[Share]:
    """Who decided how much, most first. Two queries, by an index over the decisions of this queue."""
    decided = Reservation.objects.filter(queue=read, state__in=("decided", "late")).values("auditor")
    counts = dict(decided.annotate(n=Count("pk")).order_by("-n").values_list("auditor", "n")[:100])
    people = User.objects.in_bulk(counts)
    return [Share(people[pk], n) for pk, n in counts.items()]
