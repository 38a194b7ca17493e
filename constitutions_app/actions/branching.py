"""Verbs about branches: starting, closing and reopening one, forking a constitution, and merging a version in."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from constitutions_app.actions.drafting import (
    MAX_EXEMPLARS,
    MAX_PREAMBLE,
    MAX_TEXT,
    Refused,
    locked,
    locked_open,
    principle_row,
    touch,
)
from constitutions_app.actions.starting import create_constitution, exemplars_of, fill
from constitutions_app.core import merge
from constitutions_app.core import principles as core
from constitutions_app.ledger import record
from constitutions_app.lineages import sides_of
from constitutions_app.models import MAIN, Constitution, Draft, DraftPrinciple, Version

MAX_BRANCH = 60


def start_branch(*, user: User, version: Version, name: str) -> Draft:
    """A draft of its own that begins with a version's words; the name becomes its address. Raises Refused."""
    branch = slugify(core.normalise(name))[:MAX_BRANCH].strip("-_")
    if not branch or branch == MAIN:
        raise Refused("A branch needs a name of its own, for example “softer tone”.")
    with transaction.atomic():
        draft = Draft(constitution=version.constitution, branch=branch, base=version, updated_by=user)
        try:
            with transaction.atomic():
                draft.save()
        except IntegrityError as error:
            raise Refused(f"There is a branch “{branch}” already. Choose another name, or reopen that one.") from error
        fill(draft, version.to_core(), user)
        record(
            actor=user,
            verb="branch.start",
            obj=version.constitution,
            data={"branch": branch, "version": version.number, "digest": version.digest},
        )
    return draft


def close_branch(*, user: User, draft: Draft) -> None:
    """Make a branch read-only; its words and versions stay. Raises Refused for the main branch."""
    if draft.is_main:
        raise Refused("The main branch stays open.")
    _set_closed(user, draft, closed=True)


def reopen_branch(*, user: User, draft: Draft) -> None:
    """Let a closed branch be edited again."""
    _set_closed(user, draft, closed=False)


def fork_constitution(*, user: User, version: Version, name: str, description: str = "") -> Constitution:
    """A new constitution that begins with a version's words and remembers where it came from. Raises Refused."""
    with transaction.atomic():
        made = create_constitution(user=user, name=name, description=description, start=version.to_core())
        made.forked_from = version
        made.save(update_fields=["forked_from"])
        record(
            actor=user,
            verb="constitution.fork",
            obj=version.constitution,
            data={"version": version.number, "digest": version.digest, "fork": made.slug},
        )
    return made


def merge_version(
    *,
    user: User,
    draft: Draft,
    version: Version,
    choices: Mapping[str, merge.Choice | merge.Written],
    expected: int | None = None,
) -> Draft:
    """Merge a version's words into the draft, with a choice by key for every conflict (core/merge.py).

    The version becomes the second parent of what this draft publishes next. What the draft said before is kept, whole,
    in the ledger entry. `expected` is the draft's revision that the person has read. Raises Refused with nothing
    changed: a conflict without a choice, a draft that changed meanwhile, another merge that is not published yet.
    """
    with transaction.atomic():
        draft = locked_open(draft)
        sides = sides_of(draft, version)
        if reason := reason_against_merging(draft, version, already=sides.already_merged):
            raise Refused(reason)
        if expected is not None and expected != draft.revision:
            raise Refused("The draft changed while you were choosing. Look again; your choices are kept.")
        try:
            merged = merge.resolve(merge.merge(sides.base, sides.ours, sides.theirs), choices)
        except merge.Unresolved as error:
            raise Refused(f"Not every conflict is decided. {error}") from error
        if reason := _reason_of_size(merged, sides.ours, sides.theirs):
            raise Refused(reason)
        rewrite(draft, merged, user)
        Draft.objects.filter(pk=draft.pk).update(merging=version)
        touch(draft, user)
        record(
            actor=user,
            verb="draft.merge",
            obj=draft.constitution,
            data={
                "version": version.number,
                "of": version.constitution.slug,
                "digest": version.digest,
                "ancestor": sides.ancestor.digest if sides.ancestor else None,
                "conflicts": sorted(choices),
                "branch": draft.branch,
                "replaced": core.canonical_json(sides.ours),
            },
        )
    draft.refresh_from_db()
    return draft


def reason_against_merging(draft: Draft, version: Version, *, already: bool) -> str:
    """Why this version cannot be merged into the draft, as one sentence; empty when it can."""
    if already:
        return f"{version} is part of this draft's history already; there is nothing to merge."
    if draft.merging_id and draft.merging_id != version.pk:
        return f"This draft has merged {draft.merging} and is not published since. Publish it, then merge {version}."
    return ""


def _reason_of_size(merged: core.Constitution, *sides: core.Constitution) -> str:
    """Why the merged words are more than a draft holds, or than a side held already; empty when they are not."""
    most = max(MAX_EXEMPLARS, *(len(side.exemplars) for side in sides))
    if len(merged.exemplars) > most:
        held = len(merged.exemplars)
        return f"Merged, the draft would hold {held} exemplars; {most} are the most. Remove some, then merge."
    before = [_lengths(side) for side in sides]
    for place, length in _lengths(merged).items():
        limit = MAX_TEXT if place[0] else MAX_PREAMBLE
        longest = max(limit, *(side.get(place, 0) for side in before))
        if length > longest:
            named = " of ".join(filter(None, (place[1].replace("_", " "), place[0])))
            return f"Merged, the {named} would have {length:,} characters; {longest:,} are the most. Choose one side."
    return ""


def _lengths(constitution: core.Constitution) -> dict[tuple[str, str], int]:
    """How long every text is that a merge can make longer, by principle and name; the preamble's key is empty."""
    found = {("", "preamble"): len(constitution.preamble)}
    for principle in constitution.principles:
        texts = {name: value for name, value in vars(principle).items() if isinstance(value, str)}
        found |= {(principle.id, name): len(text) for name, text in texts.items()}
    return found


def rewrite(draft: Draft, wanted: core.Constitution, user: User) -> None:
    """Make the draft say `wanted`; rows of principles that stay as they are keep their revision, so saves still fit."""
    rows = {row.key: row for row in draft.principles.all()}
    for position, principle in enumerate(wanted.principles, start=1):
        row = rows.pop(principle.id, None)
        if row is None:
            principle_row(draft, principle, position, user).save()
        elif row.to_core() != principle:
            fresh = principle_row(draft, principle, position, user)
            fresh.pk, fresh.revision = row.pk, row.revision + 1
            fresh.save(force_update=True)
        elif row.position != position:
            DraftPrinciple.objects.filter(pk=row.pk).update(position=position)
    draft.principles.filter(key__in=rows).delete()
    draft.preamble, draft.exemplars = wanted.preamble, exemplars_of(wanted)
    draft.save(update_fields=["preamble", "exemplars"])


def _set_closed(user: User, draft: Draft, *, closed: bool) -> None:
    with transaction.atomic():
        draft = locked(draft)
        if bool(draft.closed_at) == closed:
            return
        Draft.objects.filter(pk=draft.pk).update(closed_at=timezone.now() if closed else None)
        verb = "branch.close" if closed else "branch.reopen"
        record(actor=user, verb=verb, obj=draft.constitution, data={"branch": draft.branch})
