"""The verbs that freeze a draft into a version, and that say beforehand what its edits do to the meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from constitutions_app.actions.drafting import Refused, locked, locked_open, touch
from constitutions_app.actions.drafting import note as record_change
from constitutions_app.actions.reviewing import end_review
from constitutions_app.core import principles as core
from constitutions_app.ledger import record
from constitutions_app.meanings import principle_rows
from constitutions_app.models import Constitution, Draft, DraftPrinciple, EditKind, PrincipleVersion, Version
from constitutions_app.reviewing import reasons_against_publishing

MAX_NOTE = 2000
NO_NOTE = "A version needs a change note. Say in a sentence what changed and why, then publish."


class PublishRefused(ValueError):
    """The draft was not published; the message is one sentence that says why and what to do."""


def publish_version(*, user: User, draft: Draft, note: str, expected: int | None = None) -> Version:
    """Freeze the draft as the next version. `expected` is the draft's revision that the person has read.

    The version's parent is the draft's base; where the draft merged another version, that one is its second parent.
    Raises PublishRefused, with nothing changed, for a closed branch, an empty note, an empty draft, no enabled
    principle, a principle without text, an unfinished exemplar, no change against the base, or a draft that changed
    meanwhile.
    """
    note = core.normalise(note)
    with transaction.atomic():
        draft = locked(draft)
        # Numbers count through all branches: two drafts that publish at once take them one after the other.
        Constitution.objects.select_for_update(no_key=True).get(pk=draft.constitution_id)
        constitution = draft.to_core()
        canonical = core.canonical_json(constitution)
        digest = core.digest_of_text(canonical)
        if reason := _reason_against(constitution, note) or _reason_of_state(draft, digest, expected):
            raise PublishRefused(reason)
        if missing := reasons_against_publishing(draft):
            raise PublishRefused(f"The rules of this constitution ask for more. {' '.join(missing)}")
        version = Version(
            constitution=draft.constitution,
            number=(draft.constitution.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
            canonical=canonical,
            digest=digest,
            parent_id=draft.base_id,
            second_parent_id=draft.merging_id,
            branch=draft.branch,
            author=user,
            note=note,
        )
        version.save()
        rows = principle_rows(version, dict(draft.principles.values_list("key", "edit_kind")))
        PrincipleVersion.objects.bulk_create(rows)
        # Not `save`: the draft's words were not edited, so its "updated" time and revision stay.
        Draft.objects.filter(pk=draft.pk).update(base=version, merging=None)
        draft.principles.exclude(edit_kind="").update(edit_kind="")
        approved_by = end_review(user=user, draft=draft, version=version)
        record(
            actor=user,
            verb="version.publish",
            obj=draft.constitution,
            data={
                "version": version.number,
                "digest": digest,
                "note": note,
                "branch": draft.branch,
                "principles": len(constitution.principles),
                "semantic": [row.key for row in rows if row.change == "semantic"],
                "parent": draft.base.number if draft.base else None,
                "second_parent": str(draft.merging) if draft.merging else None,
                "approved_by": approved_by,
            },
        )
    return version


def declare_edits(*, user: User, draft: Draft, kinds: Mapping[str, str]) -> int:
    """Say, by principle key, what this draft's edits do: "semantic", "minor", or "" for what the words say themselves.

    Returns how many principles were told otherwise than before. Raises Refused for another word or an unknown key.
    """
    if strange := sorted(set(kinds.values()) - {"", *EditKind.values}):
        raise Refused(f"An edit is semantic or minor, not {strange[0]!r}.")
    with transaction.atomic():
        draft = locked_open(draft)
        # All of them, and not those named: a name can be anything, and the database cannot hold every text.
        rows = {row.key: row for row in draft.principles.only("key", "edit_kind")}
        if unknown := sorted(set(kinds) - set(rows)):
            raise Refused(f"The draft has no principle {unknown[0]!r}.")
        changed = {key: kind for key, kind in kinds.items() if rows[key].edit_kind != kind}
        if not changed:
            return 0
        for key, kind in changed.items():
            DraftPrinciple.objects.filter(pk=rows[key].pk).update(edit_kind=kind)
        touch(draft, user)
        record_change(user, draft, "draft.declare_edits", {"set": changed})
    return len(changed)


def _reason_of_state(draft: Draft, digest: str, expected: int | None) -> str:
    """Why this draft cannot be published as it stands, as one sentence; empty when it can."""
    if draft.closed_at:
        return "This branch was closed. Reopen it, then publish."
    if draft.base and draft.base.digest == digest and not draft.merging_id:
        return f"Nothing has changed since {draft.base}. Edit the draft, then publish."
    if expected is not None and expected != draft.revision:
        return "The draft changed while you were reading. Look at the changes again, then publish."
    return ""


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
        return NO_NOTE
    if len(note) > MAX_NOTE:
        return f"The change note has {len(note)} characters; {MAX_NOTE} are the most. Shorten it, then publish."
    return ""
