"""What is kept from a person who has yet to judge it blind: the AI's choice and what others said.

`access.hides_judgement` decides; here its answers take the shape the explorer asks in.
"""

from __future__ import annotations

from django.db.models import QuerySet

from training_app.access import Person, can_audit, hidden_items
from training_app.models import QueueItem


def kept_from(user: Person, kind: str) -> QuerySet[QueueItem, int] | None:
    """Primary keys of the labels ("label") or steps ("step") whose judgement this person is not told; None for none."""
    return hidden_items(user, kind) if can_audit(user) else None
