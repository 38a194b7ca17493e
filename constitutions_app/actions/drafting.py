"""Verbs that change a draft. Every one locks the draft's row first, so that two of them never wait for each other.

A save names what it was made from (`expected`, and the words themselves: `origins.py`); when that is no longer what
stands there, `Conflict` carries what does, both sides' words merged as far as they can be, and nothing was changed.
A save that would change nothing succeeds, so a save that is sent twice is harmless.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from constitutions_app.actions.origins import NOWHERE, Origin, is_stale, sort_out
from constitutions_app.core import principles as core
from constitutions_app.core.saves import Settled
from constitutions_app.ledger import record
from constitutions_app.models import Draft, DraftPrinciple, LedgerEntry, PrincipleVersion

EDITABLE = frozenset(
    {"title", "text", "rationale", "source_document", "source_article", "source_url", "tags", "weight", "strict"}
    | {"enabled", "stages", "critique_request", "revision_request", "comparison_question"}
    | {"positive_examples", "negative_examples"}
)
MAX_EXEMPLARS = 20
PARTS = {"preamble", "exemplars"}
"""Names of the draft's other parts, which pages tell apart from principles by key."""
MAX_TEXT = 20_000
"""Most characters of one text of a principle: far above any rule, and enough to notice a pasted book."""
MAX_PREAMBLE = 100_000
"""Most characters of a preamble: what stands before the first rule of OpenAI's Model Spec has some 20,000."""

Credit = Mapping[str, object] | None
"""What the ledger says of a change beside the change: whose suggestion it applies, which other change it undoes."""


class Conflict(Exception):
    """Somebody saved in between. `current` is the row as it stands now, `settled` what could be merged and what not.

    Nothing was changed: a merge is offered to the person, whose next save makes it.
    """

    def __init__(self, current: DraftPrinciple | Draft, settled: Settled) -> None:
        super().__init__("Somebody else saved this in the meantime; nothing was changed.")
        self.current = current
        self.settled = settled


class Gone(Exception):
    """The principle was removed from the draft in the meantime; nothing was changed."""


class Refused(ValueError):
    """The verb cannot be done; the message is one sentence for people."""


class Closed(Refused, PermissionDenied):
    """The branch was closed after the page was read: where no page of its own says so, it is a 403 as it is before."""

    def __init__(self) -> None:
        super().__init__("This branch was closed in the meantime; nothing was changed. Reopen it, then do it again.")


def edit_principle(
    *,
    user: User,
    principle: DraftPrinciple,
    expected: int,
    changes: Mapping[str, Any],
    origin: Origin = NOWHERE,
    credit: Credit = None,
) -> DraftPrinciple:
    """Save some fields of a principle. `expected` is the revision they were read at, `origin` what they said then.

    `credit` says in the ledger whose words these are, when the person who saves them applied a suggestion.
    Raises Conflict for a stale save, Gone for a removed principle, ValidationError (by field) for unfit values.
    """
    if unknown := set(changes) - EDITABLE:
        raise Refused(f"A principle has no field {sorted(unknown)[0]!r} that can be edited.")
    verb = "draft.edit_principle"
    with transaction.atomic():
        draft = locked_open(principle.draft)
        row = DraftPrinciple.objects.select_related("updated_by").filter(draft=draft, pk=principle.pk).first()
        if row is None:
            raise Gone(f"“{principle}” was removed from the draft in the meantime.")
        now = {name: getattr(row, name) for name in changes}
        wanted = {name: plain for name, value in changes.items() if (plain := plain_value(value)) != now[name]}
        if is_stale(origin, wanted, now, same_revision=row.revision == expected):
            settled = sort_out(user, draft, verb, origin, wanted, now)
            if settled.merged or settled.clashes:
                raise Conflict(row, settled)
            wanted = dict(settled.mine)
        if not wanted:
            return row
        _set_fields(row, wanted, user)
        touch(draft, user)
        was = {name: now[name] for name in wanted}
        data = {"principle": row.key, "title": row.title, "revision": row.revision, "set": wanted, "was": was}
        note(user, draft, verb, {**data, **origin.noted}, credit)
    return row


def _set_fields(row: DraftPrinciple, wanted: Mapping[str, Any], user: User) -> None:
    for name, value in wanted.items():
        setattr(row, name, value)
    row.clean_fields(exclude=[part.name for part in row._meta.fields if part.name not in wanted])
    row.revision += 1
    row.updated_by = user
    row.edit_kind = ""  # what people said of the edit was said of the words as they stood
    row.save(update_fields=[*wanted, "edit_kind", "revision", "updated_by", "updated_at"])


def add_principle(*, user: User, draft: Draft, title: str = "", text: str = "") -> DraftPrinciple:
    """Append a principle. Its key comes from the title and is never one that this constitution has used."""
    with transaction.atomic():
        draft = locked_open(draft)
        new = core.Principle(id=_new_key(draft, title), title=core.normalise(title), text=core.normalise(text))
        row = principle_row(draft, new, _next_position(draft), user)
        row.save()
        touch(draft, user)
        note(user, draft, "draft.add_principle", {"principle": row.key, "title": row.title, "text": row.text})
    return row


def duplicate_principle(*, user: User, principle: DraftPrinciple) -> DraftPrinciple:
    """Add a copy right behind a principle, every field the same, with a key of its own. Raises Gone."""
    with transaction.atomic():
        draft = locked_open(principle.draft)
        original = DraftPrinciple.objects.filter(draft=draft, pk=principle.pk).first()
        if original is None:
            raise Gone(f"“{principle}” was removed from the draft in the meantime.")
        copy = replace(original.to_core(), id=_new_key(draft, original.title or original.key))
        row = principle_row(draft, copy, _next_position(draft), user)
        row.save()
        _place(draft, row.pk, draft.principles.filter(position__lte=original.position).count())
        touch(draft, user)
        data = {"principle": row.key, "title": row.title, "text": row.text, "copy_of": original.key}
        note(user, draft, "draft.add_principle", data)
    return row


def remove_principle(*, user: User, principle: DraftPrinciple, credit: Credit = None) -> LedgerEntry:
    """Take a principle out of the draft. The ledger entry keeps every word of it; `restore_removed` puts it back."""
    with transaction.atomic():
        draft = locked_open(principle.draft)
        row = DraftPrinciple.objects.filter(draft=draft, pk=principle.pk).first()
        if row is None:
            raise Gone(f"“{principle}” was removed from the draft in the meantime.")
        position = draft.principles.filter(position__lt=row.position).count()
        data = {"principle": row.key, "title": row.title, "position": position, "removed": asdict(row.to_core())}
        row.delete()
        touch(draft, user)
        return note(user, draft, "draft.remove_principle", data, credit)


def restore_principle(
    *, user: User, draft: Draft, entry: LedgerEntry, data: Mapping[str, Any], credit: Credit = None
) -> DraftPrinciple:
    """Put back the principle that `entry` (with this data) removed, where it stood. Raises Refused when it is there."""
    principle = core.from_dict({"name": "removed", "principles": [data["removed"]]}).principles[0]
    with transaction.atomic():
        draft = locked_open(draft)
        if draft.principles.filter(key=principle.id).exists():
            raise Refused(f"“{principle.title or principle.id}” is in the draft already.")
        row = principle_row(draft, principle, _next_position(draft), user)
        row.save()
        _place(draft, row.pk, data["position"])
        touch(draft, user)
        said = {"principle": row.key, "title": row.title, "removed_by_entry": entry.seq}
        note(user, draft, "draft.restore_principle", said, credit)
    return row


def move_principle(*, user: User, principle: DraftPrinciple, to: int, credit: Credit = None) -> bool:
    """Put a principle at index `to` (from 0, held within the list). False when it stood there already."""
    with transaction.atomic():
        draft = locked_open(principle.draft)
        before = list(draft.principles.values_list("pk", flat=True))
        if principle.pk not in before:
            raise Gone(f"“{principle}” was removed from the draft in the meantime.")
        origin = before.index(principle.pk)
        to = min(max(to, 0), len(before) - 1)
        if origin == to:
            return False
        _place(draft, principle.pk, to)
        touch(draft, user)
        data = {"principle": principle.key, "title": principle.title, "from": origin + 1, "to": to + 1}
        note(user, draft, "draft.move_principle", data, credit)
    return True


def locked(draft: Draft) -> Draft:
    """The draft's row, fresh and locked until the transaction ends, with its constitution."""
    return Draft.objects.select_related("constitution").select_for_update(of=("self",)).get(pk=draft.pk)


def locked_open(draft: Draft) -> Draft:
    """As `locked`, for verbs that change words. Raises Closed: the branch may be closed since the page was read."""
    draft = locked(draft)
    if draft.closed_at:
        raise Closed
    return draft


def branch_of(draft: Draft) -> dict[str, str]:
    """The branch, for a ledger entry about a draft; the main one goes without saying."""
    return {} if draft.is_main else {"branch": draft.branch}


def note(user: User, draft: Draft, verb: str, data: Mapping[str, object], credit: Credit = None) -> LedgerEntry:
    """Record a change of a draft: about its constitution, with the branch it was made on. Last in the verb."""
    said = {**data, **branch_of(draft), **(credit or {})}
    return record(actor=user, verb=verb, obj=draft.constitution, data=said)


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
        row.clean_fields(exclude={"draft", "updated_by"})  # each would be asked for in the database, for every row
    except ValidationError as error:
        name, sentences = next(iter(error.message_dict.items()))
        raise Refused(f"Principle “{principle.title or principle.id}”, {name}: {sentences[0]}") from error
    return row


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
    used = (
        PARTS
        | set(draft.principles.values_list("key", flat=True))
        | set(
            PrincipleVersion.objects.filter(version__constitution=draft.constitution, key__startswith=stem).values_list(
                "key", flat=True
            )
        )
    )
    if stem not in used:
        return stem
    return next(key for number in range(2, len(used) + 3) if (key := f"{stem}-{number}") not in used)


def plain_value(value: Any) -> Any:
    """Texts as they will be digested; lists and tuples as lists of such texts, empty ones left out."""
    if isinstance(value, str):
        return core.normalise(value)
    if isinstance(value, list | tuple):
        return [plain for part in value if (plain := core.normalise(part))]
    return value
