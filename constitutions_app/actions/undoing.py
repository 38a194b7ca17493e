"""Undo and redo: a person's own last changes of a draft, one save at a time, out of the ledger.

Every entry of a draft says what it set and what stood there before. Undoing is a change like any other, with an entry
of its own that names the one it undoes, so nothing is ever taken out of the ledger. Words that others changed since are
left alone: what can be merged around them is undone, and where they changed the very words nothing is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from constitutions_app.actions import draft_parts, drafting
from constitutions_app.actions.drafting import Conflict, Credit, Gone, Refused
from constitutions_app.actions.origins import Origin
from constitutions_app.core import principles as core
from constitutions_app.core.saves import Settled, settle
from constitutions_app.ledger import name_of
from constitutions_app.models import MAIN, Draft, DraftPrinciple, LedgerEntry

LOOK_BACK = 200
"""How many of a person's own changes of a draft are looked through."""


@dataclass(frozen=True)
class Undone:
    """What was undone or redone, in a few words, and where: a principle's key, "preamble", "exemplars" or ""."""

    words: str
    place: str


@dataclass(frozen=True)
class _Change:
    """A ledger entry of a draft with its data."""

    entry: LedgerEntry
    data: Mapping[str, Any]


def undo(*, user: User, draft: Draft) -> Undone:
    """Take back the person's last change of this draft. Raises Refused when there is none, or others built on it."""
    done, _ = _stacks(user, draft)
    if not done:
        raise Refused("You have changed nothing here that could be undone.")
    return _turn_back(user, draft, done[-1], "undoes")


def redo(*, user: User, draft: Draft) -> Undone:
    """Do again what the person undid last. Raises Refused when nothing was undone since their last change."""
    _, undone = _stacks(user, draft)
    if not undone:
        raise Refused("You have undone nothing here since your last change.")
    return _turn_back(user, draft, undone[-1], "redoes")


def restore_removed(*, user: User, draft: Draft, entry: LedgerEntry, credit: Credit = None) -> DraftPrinciple | None:
    """Undo a removal: put the principle or exemplar that `entry` removed back where it stood.

    Returns the principle, or None for an exemplar. Raises Refused when the entry removed nothing from this draft, or
    when what it removed is in the draft already.
    """
    if (entry.object_type, entry.object_id) != (draft.constitution._meta.label_lower, str(draft.constitution_id)):
        raise Refused("This ledger entry is about another constitution.")
    data = json.loads(entry.body)["data"]
    if entry.verb == "draft.remove_exemplar":
        draft_parts.restore_exemplar(user=user, draft=draft, entry=entry, data=data, credit=credit)
        return None
    if entry.verb != "draft.remove_principle":
        raise Refused("This ledger entry removed nothing, so there is nothing to put back.")
    return drafting.restore_principle(user=user, draft=draft, entry=entry, data=data, credit=credit)


def _stacks(user: User, draft: Draft) -> tuple[list[_Change], list[_Change]]:
    """The person's changes that stand, and those they undid; the newest last."""
    entries = LedgerEntry.objects.filter(
        object_type=draft.constitution._meta.label_lower,
        object_id=str(draft.constitution_id),
        actor_id=user.pk,
        verb__in=_INVERSES,
    ).order_by("-seq")[:LOOK_BACK]
    done: list[_Change] = []
    undone: list[_Change] = []
    for entry in reversed(entries):
        change = _Change(entry, json.loads(entry.body)["data"])
        if change.data.get("branch", MAIN) != draft.branch:
            continue
        if "undoes" in change.data:
            done = [one for one in done if one.entry.seq != change.data["undoes"]]
            undone.append(change)
        elif "redoes" in change.data:
            undone = [one for one in undone if one.entry.seq != change.data["redoes"]]
            done.append(change)
        else:
            done.append(change)
            undone = []
    return done, undone


def _turn_back(user: User, draft: Draft, change: _Change, word: str) -> Undone:
    try:
        return _INVERSES[change.entry.verb](user, draft, change, {word: change.entry.seq})
    except (Conflict, Gone) as refusal:
        raise Refused(str(refusal)) from refusal


def _edit_principle(user: User, draft: Draft, change: _Change, credit: Mapping[str, object]) -> Undone:
    row = _row(draft, change)
    now = {name: getattr(row, name) for name in change.data["set"]}
    settled = _settled(change.data["set"], change.data.get("was"), now, name_of(row.updated_by), f"“{row}”")
    drafting.edit_principle(
        user=user,
        principle=row,
        expected=row.revision,
        changes={**settled.mine, **settled.merged},
        origin=Origin(now),
        credit=credit,
    )
    fields = ", ".join(sorted(name.replace("_", " ") for name in change.data["set"]))
    return Undone(f"{fields} of “{row}”", row.key)


def _edit_preamble(user: User, draft: Draft, change: _Change, credit: Mapping[str, object]) -> Undone:
    now = {"preamble": draft.preamble}
    who = name_of(draft.updated_by)
    settled = _settled(change.data["set"], change.data.get("was"), now, who, "the preamble")
    text = {**settled.mine, **settled.merged}["preamble"]
    draft_parts.edit_preamble(user=user, draft=draft, expected="", text=text, origin=Origin(now), credit=credit)
    return Undone("the preamble", "preamble")


def _edit_exemplars(user: User, draft: Draft, change: _Change, credit: Mapping[str, object]) -> Undone:
    now = draft_parts.exemplar_fields(draft.exemplars)
    mine: dict[str, str] = {}
    was: dict[str, str] = {}
    for part in change.data["changed"]:
        before = part.get("was") or {}
        mine |= {f"{part['exemplar'] - 1}-{name}": text for name, text in part["set"].items()}
        was |= {f"{part['exemplar'] - 1}-{name}": text for name, text in before.items()}
    if not set(mine) <= set(now):
        raise Refused("The exemplars are others by now, so nothing was undone.")
    settled = _settled(mine, was, now, name_of(draft.updated_by), "the exemplars")
    texts = {**now, **settled.mine, **settled.merged}
    kept = [core.Exemplar(**{part: texts[f"{i}-{part}"] for part in one}) for i, one in enumerate(draft.exemplars)]
    draft_parts.edit_exemplars(user=user, draft=draft, expected="", exemplars=kept, origin=Origin(now), credit=credit)
    return Undone("the exemplars", "exemplars")


def _settled(
    set_: Mapping[str, Any], was: Mapping[str, Any] | None, now: Mapping[str, Any], who: str, what: str
) -> Settled:
    """What undoing comes to, where `now` may hold others' later words. Raises Refused where they are the same words."""
    if was is None or set(was) != set(set_):
        raise Refused("This change was saved before changes could be undone.")
    settled = settle(set_, was, now)
    if settled.clashes:
        raise Refused(f"Nothing was undone: {who} changed the same words of {what} since.")
    if not settled.mine and not settled.merged:
        raise Refused(f"Nothing is left to undo: the words of {what} are as they were before.")
    return settled


def _move(user: User, draft: Draft, change: _Change, credit: Mapping[str, object]) -> Undone:
    row = _row(draft, change)
    keys = list(draft.principles.values_list("key", flat=True))
    if keys.index(row.key) + 1 != change.data["to"]:
        raise Refused(f"Nothing was undone: the order around “{row}” has changed since.")
    drafting.move_principle(user=user, principle=row, to=change.data["from"] - 1, credit=credit)
    return Undone(f"the place of “{row}”", row.key)


def _take_out(user: User, draft: Draft, change: _Change, credit: Mapping[str, object]) -> Undone:
    row = _row(draft, change)
    if writer := _other_writer(user, draft, change, row):
        raise Refused(f"Nothing was undone: {writer} has written in “{row}” since.")
    drafting.remove_principle(user=user, principle=row, credit=credit)
    return Undone(f"“{row}” is out of the draft", "")


def _other_writer(user: User, draft: Draft, change: _Change, row: DraftPrinciple) -> str:
    """Who else has written in a principle since this change, also where its last words are the person's; or ""."""
    if row.updated_by_id != user.pk:
        return name_of(row.updated_by)
    saves = LedgerEntry.objects.filter(
        object_type=change.entry.object_type,
        object_id=change.entry.object_id,
        verb="draft.edit_principle",
        seq__gt=change.entry.seq,
        body__contains=f'"principle":"{row.key}"',
    ).exclude(actor_id=user.pk)
    told = ((entry.actor_name, json.loads(entry.body)["data"]) for entry in saves)
    return next((name for name, data in told if data.get("branch", MAIN) == draft.branch), "")


def _put_back(user: User, draft: Draft, change: _Change, credit: Mapping[str, object]) -> Undone:
    row = restore_removed(user=user, draft=draft, entry=change.entry, credit=credit)
    return Undone(f"“{row}” is back where it stood", row.key) if row else Undone("the exemplar is back", "exemplars")


def _take_exemplar_out(user: User, draft: Draft, change: _Change, credit: Mapping[str, object]) -> Undone:
    """Undo an added exemplar while it is empty, or one put back while its words are those that were put back."""
    index = change.data["exemplar"] - 1
    words: Mapping[str, str] = {}
    if "removed_by_entry" in change.data:
        body = LedgerEntry.objects.get(seq=change.data["removed_by_entry"]).body
        words = json.loads(body)["data"]["removed"]
    standing = draft.exemplars[index] if index < len(draft.exemplars) else None
    if standing is None or any(text != words.get(name, "") for name, text in standing.items()):
        raise Refused("Nothing was undone: the exemplars have changed since.")
    revision = draft_parts.text_revision(draft.exemplars)
    draft_parts.remove_exemplar(user=user, draft=draft, expected=revision, index=index, credit=credit)
    return Undone("the exemplar is out of the draft", "exemplars")


def _row(draft: Draft, change: _Change) -> DraftPrinciple:
    rows = draft.principles.select_related("updated_by", "draft__constitution")
    row = rows.filter(key=change.data["principle"]).first()
    if row is None:
        raise Refused(f"“{change.data['title'] or change.data['principle']}” is no longer in the draft.")
    return row


_INVERSES: Mapping[str, Callable[[User, Draft, _Change, Mapping[str, object]], Undone]] = {
    "draft.add_exemplar": _take_exemplar_out,
    "draft.add_principle": _take_out,
    "draft.edit_exemplars": _edit_exemplars,
    "draft.edit_preamble": _edit_preamble,
    "draft.edit_principle": _edit_principle,
    "draft.move_principle": _move,
    "draft.remove_exemplar": _put_back,
    "draft.remove_principle": _put_back,
    "draft.restore_exemplar": _take_exemplar_out,
    "draft.restore_principle": _take_out,
}
"""How each kind of change is turned back; undoing again turns that back, which is redoing."""
