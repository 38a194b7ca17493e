"""What is kept from a person who has yet to judge it blind: the AI's choice and what others said."""

from __future__ import annotations

from training_app.access import Person


def kept_from(user: Person, kind: str) -> frozenset[int]:
    """Primary keys of the labels ("label") or steps ("step") whose judgement this person is not told yet."""
    return frozenset()
