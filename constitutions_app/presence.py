"""Who is writing in a draft right now. A beat every few seconds keeps a person here; nothing of it is history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from constitutions_app.ledger import name_of
from constitutions_app.models import Draft, DraftPrinciple, Presence

HERE_FOR = timedelta(seconds=12)
"""How long after their last beat a person still counts as here: a few beats may be lost."""
PARTS = {"preamble": "the preamble", "exemplars": "the exemplars"}


@dataclass(frozen=True)
class Here:
    """Somebody else at a part of the draft: a principle's key, "preamble" or "exemplars", and what it is called."""

    name: str
    place: str
    title: str


def beat(user: User, draft: Draft, place: str) -> None:
    """Say that the person is at `place`. One statement, whether it is the first beat or not."""
    row = Presence(draft=draft, person=user, place=place, seen_at=timezone.now())
    Presence.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=("draft", "person"), update_fields=("place", "seen_at")
    )


def leave(user: User, draft: Draft, place: str) -> None:
    """Say that the person closed the page of `place`; unless another page of theirs has beaten meanwhile."""
    Presence.objects.filter(draft=draft, person=user, place=place).delete()


def others(user: User, draft: Draft) -> list[Here]:
    """Everybody else who is here, by name. Two queries, the second only when somebody is."""
    since = timezone.now() - HERE_FOR
    rows = draft.presences.filter(seen_at__gte=since).exclude(person=user).select_related("person")
    present = sorted((name_of(row.person), row.place) for row in rows)
    if not present:
        return []
    keys = [place for _, place in present if place not in PARTS]
    titles = PARTS | dict(DraftPrinciple.objects.filter(draft=draft, key__in=keys).values_list("key", "title"))
    return [Here(name, place, titles.get(place) or place) for name, place in present]
