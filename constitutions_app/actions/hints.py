"""Putting hints aside, and taking them back. A hint never blocks; this only keeps the list short."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.actions.drafting import locked_open, note
from constitutions_app.models import DismissedHint, DraftPrinciple
from constitutions_app.models.hint import MAX_WORDS


def dismiss_hint(*, user: User, principle: DraftPrinciple, slug: str, words: str) -> bool:
    """Put a hint aside for a principle, for as long as its `words` stay. False when it was aside already."""
    with transaction.atomic():
        draft = locked_open(principle.draft)
        _, is_new = DismissedHint.objects.get_or_create(
            draft=draft, key=principle.key, slug=slug, words=words[:MAX_WORDS], defaults={"dismissed_by": user}
        )
        if is_new:
            _note(user, principle, "draft.dismiss_hint", slug, words)
    return is_new


def recall_hint(*, user: User, principle: DraftPrinciple, slug: str, words: str) -> bool:
    """Show a hint again that was put aside. False when it was not."""
    with transaction.atomic():
        draft = locked_open(principle.draft)
        gone, _ = DismissedHint.objects.filter(
            draft=draft, key=principle.key, slug=slug, words=words[:MAX_WORDS]
        ).delete()
        if gone:
            _note(user, principle, "draft.recall_hint", slug, words)
    return bool(gone)


def _note(user: User, principle: DraftPrinciple, verb: str, slug: str, words: str) -> None:
    data = {"principle": principle.key, "title": principle.title, "hint": slug, "words": words[:MAX_WORDS]}
    note(user, principle.draft, verb, data)
