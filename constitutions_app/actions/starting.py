"""Verbs that begin a draft: a new constitution, or an old version's words brought back into the draft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import count

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from constitutions_app.actions.drafting import MAX_EXEMPLARS, Refused, locked_open, principle_row, touch
from constitutions_app.actions.imported_files import ImportedFile, keep_file, keep_scenarios, use_up
from constitutions_app.core import principles as core
from constitutions_app.core.scenarios import Scenario
from constitutions_app.ledger import record
from constitutions_app.models import Constitution, Draft, DraftPrinciple, Version

RESERVED_SLUGS = frozenset({"new", "import"})
"""Addresses under /constitutions/ that belong to pages."""

MAX_NAME = 200


def create_constitution(
    *,
    user: User,
    name: str,
    description: str = "",
    slug: str = "",
    start: core.Constitution | None = None,
    scenarios: Sequence[Scenario] = (),
    file: ImportedFile | None = None,
) -> Constitution:
    """A constitution with its draft: empty, or holding the words of `start`. The address comes from the name.

    `scenarios` come with it; so do those of `file`, with its provenance, when the words come from a file.
    Raises Refused for an empty or too long name, a slug in use, or a `start` whose parts do not fit.
    """
    name = core.normalise(name)
    _check_name(name)
    if file and start:
        _check_exemplars(start)
    with transaction.atomic():
        if file:
            use_up(file)
        constitution = Constitution(
            slug=_free_slug(slug, name), name=name, description=core.normalise(description), created_by=user
        )
        _insert(constitution)
        draft = Draft.objects.create(constitution=constitution, updated_by=user)
        if start:
            fill(draft, start, user)
        keep_scenarios(user, constitution, scenarios, {"kind": "starter"})
        if file:
            keep_file(user, constitution, file)
        record(
            actor=user,
            verb="constitution.create",
            obj=constitution,
            data={
                "slug": constitution.slug,
                "starting_digest": core.digest(start) if start else None,
                **({"import": file.told()} if file else {}),
            },
        )
    return constitution


def check_start(*, name: str, start: core.Constitution) -> None:
    """Raises Refused for a name or a part that does not fit, as `create_constitution` would. Asks no database."""
    _check_name(core.normalise(name))
    _check_exemplars(start)
    draft, nobody = Draft(), User()
    for position, principle in enumerate(start.principles, start=1):
        principle_row(draft, principle, position, nobody)


def _check_name(name: str) -> None:
    if not name:
        raise Refused("A constitution needs a name.")
    if len(name) > MAX_NAME:
        raise Refused(f"The name has {len(name):,} characters; a constitution's name has at most {MAX_NAME}.")


def _check_exemplars(start: core.Constitution) -> None:
    if len(start.exemplars) > MAX_EXEMPLARS:
        raise Refused(f"A draft holds at most {MAX_EXEMPLARS} exemplars; the file has {len(start.exemplars)}.")


def start_draft_from_version(*, user: User, draft: Draft, version: Version) -> Draft:
    """Put a version's words in place of the draft's. What the draft said is kept, whole, in the ledger entry.

    Raises Refused for another constitution's version, and when the draft says the same already.
    """
    if version.constitution_id != draft.constitution_id:
        raise Refused("This version belongs to another constitution.")
    with transaction.atomic():
        draft = locked_open(draft)
        replaced = core.canonical_json(draft.to_core())
        wanted = version.to_core()
        # The name is the constitution's own and does not go back with an old version's text.
        if core.canonical_json(core.Constitution(draft.constitution.name, *_content(wanted))) == replaced:
            raise Refused(f"The draft already says what {version} says, word for word.")
        draft.principles.all().delete()
        fill(draft, wanted, user)
        # Words merged before are out again: the next version does not descend from them, and they can be merged anew.
        Draft.objects.filter(pk=draft.pk).update(merging=None)
        touch(draft, user)
        record(
            actor=user,
            verb="draft.start_from_version",
            obj=draft.constitution,
            data={"version": version.number, "digest": version.digest, "replaced": replaced},
        )
    return draft


def _insert(constitution: Constitution) -> None:
    """Raises Refused where somebody took the address since it was found free: a button pressed twice, most often."""
    try:
        with transaction.atomic():
            constitution.save()
    except IntegrityError as error:
        raise Refused(f"A constitution at “{constitution.slug}” was made at this very moment.") from error


def _content(constitution: core.Constitution) -> tuple[str, tuple[core.Principle, ...], tuple[core.Exemplar, ...]]:
    return constitution.preamble, constitution.principles, constitution.exemplars


def exemplars_of(constitution: core.Constitution) -> list[dict[str, str]]:
    """A constitution's exemplars as a draft's column holds them."""
    return [asdict(exemplar) for exemplar in constitution.exemplars]


def fill(draft: Draft, constitution: core.Constitution, user: User) -> None:
    """Put a constitution's words into a draft that holds no principles."""
    draft.preamble = constitution.preamble
    draft.exemplars = exemplars_of(constitution)
    draft.save(update_fields=["preamble", "exemplars"])
    DraftPrinciple.objects.bulk_create(
        principle_row(draft, principle, position, user)
        for position, principle in enumerate(constitution.principles, start=1)
    )


def _free_slug(wanted: str, name: str) -> str:
    """The wanted slug if it is free, or one made from the name that is. Raises Refused for a wanted one in use."""
    stem = slugify(wanted or name)[:70].strip("-") or "constitution"
    used = set(Constitution.objects.filter(slug__startswith=stem).values_list("slug", flat=True)) | RESERVED_SLUGS
    if stem not in used:
        return stem
    if wanted:
        raise Refused(f"There is a constitution at “{stem}” already.")
    return next(slug for number in count(2) if (slug := f"{stem}-{number}") not in used)
