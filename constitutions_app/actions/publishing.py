"""The verb that freezes a draft into a version."""

from __future__ import annotations

import json
from dataclasses import fields

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from constitutions_app.actions.drafting import locked
from constitutions_app.core import principles as core
from constitutions_app.ledger import record
from constitutions_app.models import Draft, PrincipleVersion, Version

MAX_NOTE = 2000


class PublishRefused(ValueError):
    """The draft was not published; the message is one sentence that says why and what to do."""


def publish_version(*, user: User, draft: Draft, note: str, expected: int | None = None) -> Version:
    """Freeze the draft as the next version. `expected` is the draft's revision that the person has read.

    Raises PublishRefused, with nothing changed, for an empty note, an empty draft, no enabled principle, a principle
    without text, an unfinished exemplar, no change against the newest version, or a draft that changed meanwhile.
    """
    note = core.normalise(note)
    with transaction.atomic():
        draft = locked(draft)
        newest = draft.constitution.versions.first()
        constitution = draft.to_core()
        canonical = core.canonical_json(constitution)
        digest = core.digest_of_text(canonical)
        if reason := _reason_against(constitution, note):
            raise PublishRefused(reason)
        if newest and newest.digest == digest:
            raise PublishRefused(f"Nothing has changed since {newest}. Edit the draft, then publish.")
        if expected is not None and expected != draft.revision:
            raise PublishRefused("The draft changed while you were reading. Look at the changes again, then publish.")
        version = Version(
            constitution=draft.constitution,
            number=(draft.constitution.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
            canonical=canonical,
            digest=digest,
            parent_id=draft.base_id,
            author=user,
            note=note,
        )
        version.save()
        PrincipleVersion.objects.bulk_create(_principles_of(version))
        # Not `save`: the draft's words were not edited, so its "updated" time and revision stay.
        Draft.objects.filter(pk=draft.pk).update(base=version)
        record(
            actor=user,
            verb="version.publish",
            obj=draft.constitution,
            data={
                "version": version.number,
                "digest": digest,
                "note": note,
                "principles": len(constitution.principles),
                "parent": newest.number if newest else None,
            },
        )
    return version


def _reason_against(constitution: core.Constitution, note: str) -> str:
    """Why this cannot become a version, as one sentence; empty when it can."""
    if not constitution.principles:
        return "The draft has no principle. Add one, then publish."
    for position, principle in enumerate(constitution.principles, start=1):
        if not principle.text:
            named = f" “{principle.title}”" if principle.title else ""
            return f"Principle {position}{named} has no text. Write it or remove the principle, then publish."
    if not any(principle.enabled and principle.weight > 0 for principle in constitution.principles):
        return "No principle is enabled with a weight above 0. Enable at least one, then publish."
    for position, exemplar in enumerate(constitution.exemplars, start=1):
        for part in fields(exemplar):
            if not getattr(exemplar, part.name):
                words = part.name.replace("_", " ")
                return f"Exemplar {position} has no {words}. Write it or remove the exemplar, then publish."
    if not note:
        return "A version needs a change note. Say in a sentence what changed and why, then publish."
    if len(note) > MAX_NOTE:
        return f"The change note has {len(note)} characters; {MAX_NOTE} are the most. Shorten it, then publish."
    return ""


def _principles_of(version: Version) -> list[PrincipleVersion]:
    """One row per principle, each body a part of the very text that was digested."""
    return [
        PrincipleVersion(
            version=version, key=body["id"], position=position, title=body["title"], text=body["text"], body=body
        )
        for position, body in enumerate(json.loads(version.canonical)["principles"], start=1)
    ]
