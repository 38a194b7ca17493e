"""Verbs for what stands in a draft beside its principles: the preamble and the few-shot exemplars.

Neither has a revision of its own: what a save was made from is named by `text_revision`, and best by the words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.actions.drafting import MAX_EXEMPLARS, Conflict, Credit, Gone, Refused, locked_open, note, touch
from constitutions_app.actions.origins import NOWHERE, Origin, is_stale, sort_out
from constitutions_app.core import principles as core
from constitutions_app.core.saves import Clash, Settled
from constitutions_app.models import Draft, LedgerEntry


def edit_preamble(
    *,
    user: User,
    draft: Draft,
    expected: str,
    text: str,
    origin: Origin = NOWHERE,
    credit: Credit = None,
) -> Draft:
    """Save the preamble. `expected` is `text_revision` of the preamble it was made from. Raises Conflict."""
    wanted = {"preamble": core.normalise(text)}
    with transaction.atomic():
        draft = locked_open(draft)
        now = {"preamble": draft.preamble}
        if wanted == now:
            return draft
        if is_stale(origin, wanted, now, same_revision=text_revision(draft.preamble) == expected):
            settled = sort_out(user, draft, "draft.edit_preamble", origin, wanted, now)
            if not settled.mine:
                return _unless_clashing(draft, settled)
        draft.preamble = wanted["preamble"]
        draft.save(update_fields=["preamble"])
        touch(draft, user)
        note(user, draft, "draft.edit_preamble", {"set": wanted, "was": now, **origin.noted}, credit)
    return draft


def edit_exemplars(
    *,
    user: User,
    draft: Draft,
    expected: str,
    exemplars: Sequence[core.Exemplar],
    origin: Origin = NOWHERE,
    credit: Credit = None,
) -> Draft:
    """Save all few-shot exemplars. `expected` is `text_revision` of those they were made from. Raises Conflict."""
    sent = [_plain_exemplar(exemplar) for exemplar in exemplars]
    with transaction.atomic():
        draft = locked_open(draft)
        now = exemplar_fields(draft.exemplars)
        wanted = {name: text for name, text in exemplar_fields(sent).items() if now.get(name) != text}
        is_same_list = len(sent) == len(draft.exemplars)
        if is_same_list and not wanted:
            return draft
        is_fresh = text_revision(draft.exemplars) == expected
        if not is_same_list and not is_fresh:
            raise Conflict(draft, Settled({}, {}, tuple(_lost(name, wanted[name], now) for name in wanted)))
        if is_stale(origin, wanted, now, same_revision=is_fresh):
            settled = sort_out(user, draft, "draft.edit_exemplars", origin, wanted, now)
            if settled.merged or settled.clashes or not settled.mine:
                return _unless_clashing(draft, settled)
            sent = _with_fields(draft.exemplars, settled.mine)
        changed = [
            {
                "exemplar": number,
                "set": new,
                "was": draft.exemplars[number - 1] if number <= len(draft.exemplars) else None,
            }
            for number, new in enumerate(sent, start=1)
            if number > len(draft.exemplars) or draft.exemplars[number - 1] != new
        ]
        _save_exemplars(draft, sent, user)
        note(user, draft, "draft.edit_exemplars", {"changed": changed, **origin.noted}, credit)
    return draft


def add_exemplar(*, user: User, draft: Draft) -> Draft:
    """Append an empty exemplar, to be filled in. Raises Refused when there are as many as a prompt can carry."""
    with transaction.atomic():
        draft = locked_open(draft)
        if len(draft.exemplars) >= MAX_EXEMPLARS:
            raise Refused(f"A draft holds at most {MAX_EXEMPLARS} exemplars; remove one first.")
        empty = {part.name: "" for part in fields(core.Exemplar)}
        _save_exemplars(draft, [*draft.exemplars, empty], user)
        note(user, draft, "draft.add_exemplar", {"exemplar": len(draft.exemplars)})
    return draft


def remove_exemplar(*, user: User, draft: Draft, expected: str, index: int, credit: Credit = None) -> LedgerEntry:
    """Take the exemplar at `index` (from 0) out; the ledger entry keeps its words. Raises Conflict, Gone."""
    with transaction.atomic():
        draft = locked_open(draft)
        if text_revision(draft.exemplars) != expected:
            raise Conflict(draft, Settled({}, {}, ()))
        if not 0 <= index < len(draft.exemplars):
            raise Gone(f"The draft has no exemplar {index + 1}.")
        kept = list(draft.exemplars)
        removed = kept.pop(index)
        _save_exemplars(draft, kept, user)
        return note(user, draft, "draft.remove_exemplar", {"position": index, "removed": removed}, credit)


def restore_exemplar(
    *, user: User, draft: Draft, entry: LedgerEntry, data: Mapping[str, Any], credit: Credit = None
) -> None:
    """Put back the exemplar that `entry` (with this data) removed. Raises Refused when the draft has it already."""
    with transaction.atomic():
        draft = locked_open(draft)
        if data["removed"] in draft.exemplars:
            raise Refused("This exemplar is in the draft already.")
        kept = list(draft.exemplars)
        kept.insert(data["position"], data["removed"])
        _save_exemplars(draft, kept, user)
        said = {"exemplar": data["position"] + 1, "removed_by_entry": entry.seq}
        note(user, draft, "draft.restore_exemplar", said, credit)


def exemplar_fields(exemplars: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Every text of the exemplars by the name of its control: 0-prompt, 0-response …"""
    return {f"{index}-{part}": text for index, exemplar in enumerate(exemplars) for part, text in exemplar.items()}


def text_revision(value: object) -> str:
    """A short name for what a text or a list of exemplars says now: equal only when the words are equal."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return core.digest_of_text(text)[:16]


def _save_exemplars(draft: Draft, exemplars: list[dict[str, str]], user: User) -> None:
    draft.exemplars = exemplars
    draft.save(update_fields=["exemplars"])
    touch(draft, user)


def _plain_exemplar(exemplar: core.Exemplar) -> dict[str, str]:
    return {name: core.normalise(text) for name, text in asdict(exemplar).items()}


def _with_fields(exemplars: Sequence[Mapping[str, str]], texts: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {part: texts.get(f"{index}-{part}", text) for part, text in exemplar.items()}
        for index, exemplar in enumerate(exemplars)
    ]


def _unless_clashing(draft: Draft, settled: Settled) -> Draft:
    """The draft as it stands when a stale save brings nothing new."""
    if settled.merged or settled.clashes:
        raise Conflict(draft, settled)
    return draft


def _lost(name: str, mine: str, now: Mapping[str, str]) -> Clash:
    """A text whose exemplar may be another one by now: nothing is merged, both are shown."""
    theirs = now.get(name, "")
    return Clash(name, theirs, mine, theirs)
