"""Verbs that change a draft. Every one locks the draft's row first, so that two of them never wait for each other.

A save names what it was made from (`expected`); when that is no longer what stands there, `Conflict` carries what does,
and nothing was changed. A save that would change nothing succeeds, so a save that is sent twice is harmless.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from constitutions_app.core import principles as core
from constitutions_app.ledger import record
from constitutions_app.models import Draft, DraftPrinciple, LedgerEntry, PrincipleVersion

EDITABLE = frozenset(
    {"title", "text", "rationale", "source_document", "source_article", "source_url", "tags", "weight", "strict"}
    | {"enabled", "stages", "critique_request", "revision_request", "comparison_question"}
    | {"positive_examples", "negative_examples"}
)
MAX_EXEMPLARS = 20


class Conflict(Exception):
    """Somebody saved in between. `current` is the row as it stands now; nothing was changed."""

    def __init__(self, current: DraftPrinciple | Draft) -> None:
        super().__init__("Somebody else saved this in the meantime; nothing was changed.")
        self.current = current


class Gone(Exception):
    """The principle was removed from the draft in the meantime; nothing was changed."""


class Refused(ValueError):
    """The verb cannot be done; the message is one sentence for people."""


def edit_principle(
    *,
    user: User,
    principle: DraftPrinciple,
    expected: int,
    changes: Mapping[str, Any],
    credit: Mapping[str, object] | None = None,
) -> DraftPrinciple:
    """Save some fields of a principle. `expected` is the revision they were read at.

    `credit` says in the ledger whose words these are, when the person who saves them applied a suggestion.
    Raises Conflict for a stale save, Gone for a removed principle, ValidationError (by field) for unfit values.
    """
    if unknown := set(changes) - EDITABLE:
        raise Refused(f"A principle has no field {sorted(unknown)[0]!r} that can be edited.")
    with transaction.atomic():
        draft = locked(principle.draft)
        row = DraftPrinciple.objects.select_related("updated_by").filter(draft=draft, pk=principle.pk).first()
        if row is None:
            raise Gone(f"“{principle}” was removed from the draft in the meantime.")
        wanted = {name: plain for name, value in changes.items() if (plain := _plain(value)) != getattr(row, name)}
        if not wanted:
            return row
        if row.revision != expected:
            raise Conflict(row)
        for name, value in wanted.items():
            setattr(row, name, value)
        row.clean_fields(exclude=[part.name for part in row._meta.fields if part.name not in wanted])
        row.revision += 1
        row.updated_by = user
        row.edit_kind = ""  # what people said of the edit was said of the words as they stood
        row.save(update_fields=[*wanted, "edit_kind", "revision", "updated_by", "updated_at"])
        touch(draft, user)
        record(
            actor=user,
            verb="draft.edit_principle",
            obj=draft.constitution,
            data={
                "principle": row.key,
                "title": row.title,
                "revision": row.revision,
                "set": wanted,
                **branch_of(draft),
                **(credit or {}),
            },
        )
    return row


def add_principle(*, user: User, draft: Draft, title: str = "", text: str = "") -> DraftPrinciple:
    """Append a principle. Its key comes from the title and is never one that this constitution has used."""
    with transaction.atomic():
        draft = locked(draft)
        row = DraftPrinciple(
            draft=draft,
            key=_new_key(draft, title),
            position=_next_position(draft),
            title=core.normalise(title),
            text=core.normalise(text),
            revision=draft.revision + 1,
            updated_by=user,
        )
        row.clean_fields()
        row.save()
        touch(draft, user)
        record(
            actor=user,
            verb="draft.add_principle",
            obj=draft.constitution,
            data={"principle": row.key, "title": row.title, "text": row.text, **branch_of(draft)},
        )
    return row


def remove_principle(*, user: User, principle: DraftPrinciple) -> LedgerEntry:
    """Take a principle out of the draft. The ledger entry keeps every word of it; `restore_removed` puts it back."""
    with transaction.atomic():
        draft = locked(principle.draft)
        row = DraftPrinciple.objects.filter(draft=draft, pk=principle.pk).first()
        if row is None:
            raise Gone(f"“{principle}” was removed from the draft in the meantime.")
        position = draft.principles.filter(position__lt=row.position).count()
        data = {"principle": row.key, "title": row.title, "position": position, "removed": asdict(row.to_core())}
        row.delete()
        touch(draft, user)
        return record(actor=user, verb="draft.remove_principle", obj=draft.constitution, data=data)


def restore_removed(*, user: User, draft: Draft, entry: LedgerEntry) -> DraftPrinciple | None:
    """Undo a removal: put the principle or exemplar that `entry` removed back where it stood.

    Returns the principle, or None for an exemplar. Raises Refused when the entry removed nothing from this draft, or
    when what it removed is in the draft already.
    """
    if (entry.object_type, entry.object_id) != (draft.constitution._meta.label_lower, str(draft.constitution_id)):
        raise Refused("This ledger entry is about another constitution.")
    data = json.loads(entry.body)["data"]
    if entry.verb == "draft.remove_exemplar":
        _restore_exemplar(user, draft, entry, data)
        return None
    if entry.verb != "draft.remove_principle":
        raise Refused("This ledger entry removed nothing, so there is nothing to put back.")
    return _restore_principle(user, draft, entry, data)


def _restore_principle(user: User, draft: Draft, entry: LedgerEntry, data: dict[str, Any]) -> DraftPrinciple:
    principle = core.from_dict({"name": "removed", "principles": [data["removed"]]}).principles[0]
    with transaction.atomic():
        draft = locked(draft)
        if draft.principles.filter(key=principle.id).exists():
            raise Refused(f"“{principle.title or principle.id}” is in the draft already.")
        row = principle_row(draft, principle, _next_position(draft), user)
        row.save()
        _place(draft, row.pk, data["position"])
        touch(draft, user)
        record(
            actor=user,
            verb="draft.restore_principle",
            obj=draft.constitution,
            data={"principle": row.key, "title": row.title, "removed_by_entry": entry.seq},
        )
    return row


def move_principle(*, user: User, principle: DraftPrinciple, to: int) -> bool:
    """Put a principle at index `to` (from 0, held within the list). False when it stood there already."""
    with transaction.atomic():
        draft = locked(principle.draft)
        before = list(draft.principles.values_list("pk", flat=True))
        if principle.pk not in before:
            raise Gone(f"“{principle}” was removed from the draft in the meantime.")
        origin = before.index(principle.pk)
        to = min(max(to, 0), len(before) - 1)
        if origin == to:
            return False
        _place(draft, principle.pk, to)
        touch(draft, user)
        record(
            actor=user,
            verb="draft.move_principle",
            obj=draft.constitution,
            data={"principle": principle.key, "title": principle.title, "from": origin + 1, "to": to + 1},
        )
    return True


def edit_preamble(
    *, user: User, draft: Draft, expected: str, text: str, credit: Mapping[str, object] | None = None
) -> Draft:
    """Save the preamble. `expected` is `text_revision` of the preamble it was made from. Raises Conflict."""
    text = core.normalise(text)
    with transaction.atomic():
        draft = locked(draft)
        if draft.preamble == text:
            return draft
        if text_revision(draft.preamble) != expected:
            raise Conflict(draft)
        draft.preamble = text
        draft.save(update_fields=["preamble"])
        touch(draft, user)
        record(
            actor=user,
            verb="draft.edit_preamble",
            obj=draft.constitution,
            data={"set": {"preamble": text}, **(credit or {})},
        )
    return draft


def edit_exemplars(
    *,
    user: User,
    draft: Draft,
    expected: str,
    exemplars: Sequence[core.Exemplar],
    credit: Mapping[str, object] | None = None,
) -> Draft:
    """Save all few-shot exemplars. `expected` is `text_revision` of those they were made from. Raises Conflict."""
    wanted = [_plain_exemplar(exemplar) for exemplar in exemplars]
    with transaction.atomic():
        draft = locked(draft)
        if draft.exemplars == wanted:
            return draft
        if text_revision(draft.exemplars) != expected:
            raise Conflict(draft)
        changed = [
            {"exemplar": number, "set": new}
            for number, new in enumerate(wanted, start=1)
            if number > len(draft.exemplars) or draft.exemplars[number - 1] != new
        ]
        _save_exemplars(draft, wanted, user)
        record(
            actor=user, verb="draft.edit_exemplars", obj=draft.constitution, data={"changed": changed, **(credit or {})}
        )
    return draft


def add_exemplar(*, user: User, draft: Draft) -> Draft:
    """Append an empty exemplar, to be filled in. Raises Refused when there are as many as a prompt can carry."""
    with transaction.atomic():
        draft = locked(draft)
        if len(draft.exemplars) >= MAX_EXEMPLARS:
            raise Refused(f"A draft holds at most {MAX_EXEMPLARS} exemplars; remove one first.")
        empty = {part.name: "" for part in fields(core.Exemplar)}
        _save_exemplars(draft, [*draft.exemplars, empty], user)
        record(actor=user, verb="draft.add_exemplar", obj=draft.constitution, data={"exemplar": len(draft.exemplars)})
    return draft


def remove_exemplar(*, user: User, draft: Draft, expected: str, index: int) -> LedgerEntry:
    """Take the exemplar at `index` (from 0) out; the ledger entry keeps its words. Raises Conflict, Gone."""
    with transaction.atomic():
        draft = locked(draft)
        if text_revision(draft.exemplars) != expected:
            raise Conflict(draft)
        if not 0 <= index < len(draft.exemplars):
            raise Gone(f"The draft has no exemplar {index + 1}.")
        kept = list(draft.exemplars)
        removed = kept.pop(index)
        _save_exemplars(draft, kept, user)
        return record(
            actor=user,
            verb="draft.remove_exemplar",
            obj=draft.constitution,
            data={"position": index, "removed": removed},
        )


def _restore_exemplar(user: User, draft: Draft, entry: LedgerEntry, data: dict[str, Any]) -> None:
    with transaction.atomic():
        draft = locked(draft)
        if data["removed"] in draft.exemplars:
            raise Refused("This exemplar is in the draft already.")
        kept = list(draft.exemplars)
        kept.insert(data["position"], data["removed"])
        _save_exemplars(draft, kept, user)
        record(
            actor=user,
            verb="draft.restore_exemplar",
            obj=draft.constitution,
            data={"exemplar": data["position"] + 1, "removed_by_entry": entry.seq},
        )


def text_revision(value: object) -> str:
    """A short name for what a text or a list of exemplars says now: equal only when the words are equal."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return core.digest_of_text(text)[:16]


def locked(draft: Draft) -> Draft:
    """The draft's row, fresh and locked until the transaction ends, with its constitution."""
    return Draft.objects.select_related("constitution").select_for_update(of=("self",)).get(pk=draft.pk)


def branch_of(draft: Draft) -> dict[str, str]:
    """The branch, for a ledger entry about a draft; the main one goes without saying."""
    return {} if draft.is_main else {"branch": draft.branch}


def touch(draft: Draft, user: User) -> None:
    """Count one more saved change of the draft, and say by whom."""
    Draft.objects.filter(pk=draft.pk).update(revision=F("revision") + 1, updated_at=timezone.now(), updated_by=user)


def principle_row(draft: Draft, principle: core.Principle, position: int, user: User) -> DraftPrinciple:
    """An unsaved row for a principle given as a value. Raises Refused naming a part that does not fit its column."""
    values = {name: getattr(principle, name) for name in EDITABLE if hasattr(principle, name)}
    row = DraftPrinciple(
        **{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()},
        source_document=principle.source.document,
        source_article=principle.source.article,
        source_url=principle.source.url,
        draft=draft,
        key=principle.id,
        position=position,
        # Above every revision that an open page may still hold for this key, so that its stale save is noticed.
        revision=draft.revision + 1,
        updated_by=user,
    )
    try:
        row.clean_fields()
    except ValidationError as error:
        name, sentences = next(iter(error.message_dict.items()))
        raise Refused(f"Principle “{principle.title or principle.id}”, {name}: {sentences[0]}") from error
    return row


def _save_exemplars(draft: Draft, exemplars: list[dict[str, str]], user: User) -> None:
    draft.exemplars = exemplars
    draft.save(update_fields=["exemplars"])
    touch(draft, user)


def _place(draft: Draft, pk: int, to: int) -> None:
    """Number all positions anew from 1, with the row `pk` at index `to`; only rows that change are written."""
    rows = list(draft.principles.only("pk", "position"))
    moving = next(row for row in rows if row.pk == pk)
    rows.remove(moving)
    rows.insert(to, moving)
    changed = []
    for position, row in enumerate(rows, start=1):
        if row.position != position:
            row.position = position
            changed.append(row)
    DraftPrinciple.objects.bulk_update(changed, ["position"])


def _next_position(draft: Draft) -> int:
    last = draft.principles.order_by("-position").values_list("position", flat=True).first()
    return (last or 0) + 1


def _new_key(draft: Draft, title: str) -> str:
    """A readable key, unused in the draft and in every version; a random one where the title gives none."""
    stem = slugify(title)[:60].strip("-") or f"principle-{secrets.token_hex(4)}"
    used = set(draft.principles.values_list("key", flat=True)) | set(
        PrincipleVersion.objects.filter(version__constitution=draft.constitution, key__startswith=stem).values_list(
            "key", flat=True
        )
    )
    if stem not in used:
        return stem
    return next(key for number in range(2, len(used) + 3) if (key := f"{stem}-{number}") not in used)


def _plain(value: Any) -> Any:
    """Texts as they will be digested; lists and tuples as lists of such texts, empty ones left out."""
    if isinstance(value, str):
        return core.normalise(value)
    if isinstance(value, list | tuple):
        return [plain for part in value if (plain := core.normalise(part))]
    return value


def _plain_exemplar(exemplar: core.Exemplar) -> dict[str, str]:
    return {name: core.normalise(text) for name, text in asdict(exemplar).items()}
