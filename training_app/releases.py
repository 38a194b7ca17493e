"""Where a checkpoint stands on its way into use: what its constitution's rules ask for, who said what, what is missing.

Sign-offs never change; of each role the newest counts. `missing` is the one place that decides whether a checkpoint may
become "production": the page shows it, the verb asks it again under its lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from constitutions_app.access import Role
from constitutions_app.models import Constitution
from training_app.lineage import Agreement, database_agrees
from training_app.models import Checkpoint, CheckpointAlias, ReleaseRules, SignOff

SIGNERS = (Role.AUTHOR, Role.REVIEWER, Role.AUDITOR, Role.ENGINEER)
"""The roles somebody can sign off in; an admin may in each of them."""
SIGNER_CHOICES = [(role.value, role.label) for role in SIGNERS]


@dataclass(frozen=True)
class Release:
    """A checkpoint's aliases, the sign-offs that count by role, and what production still asks for, in sentences."""

    aliases: tuple[CheckpointAlias, ...]
    required: tuple[Role, ...]
    counting: tuple[SignOff, ...]
    all_sign_offs: tuple[SignOff, ...]
    missing: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the checkpoint may become "production"."""
        return not self.missing


def release_of(checkpoint: Checkpoint) -> Release:
    """The release review of one checkpoint. Three queries and one small file."""
    given = tuple(SignOff.objects.filter(checkpoint=checkpoint).select_related("person").order_by("pk"))
    required = required_roles(checkpoint.version.constitution)
    return Release(
        aliases=tuple(CheckpointAlias.objects.filter(checkpoint=checkpoint).select_related("moved_by")),
        required=required,
        counting=tuple(_newest(given).values()),
        all_sign_offs=given,
        missing=tuple(missing(checkpoint, required, given, database_agrees(checkpoint))),
    )


def required_roles(constitution: Constitution) -> tuple[Role, ...]:
    """The roles whose sign-off production needs, in the order they are always named."""
    rules = ReleaseRules.objects.filter(constitution=constitution).first()
    return tuple(role for role in SIGNERS if rules is not None and role in rules.roles)


def missing(
    checkpoint: Checkpoint, required: Sequence[Role], given: Sequence[SignOff], agreement: Agreement
) -> list[str]:
    """Why the checkpoint cannot become "production" yet, a sentence each; empty when it can.

    A refusal blocks whatever its role. Where sign-offs are required, each role needs a person of its own, and whoever
    launched the run is none of them.
    """
    newest = _newest(given)
    reasons = [] if agreement.ok else [f"Its files do not agree with the database: {agreement.sentence}"]
    reasons += [
        f"{one.person.get_full_name() or one.person.get_username()} refuses it as {one.role}: {one.note}"
        for one in newest.values()
        if one.word == SignOff.Word.REFUSE
    ]
    people: set[int] = set()
    for role in required:
        signed = newest.get(role)
        if signed is None:
            reasons.append(f"Nobody has signed it off as {role} yet.")
        elif signed.person_id == checkpoint.run.created_by_id:
            reasons.append(f"Whoever launched the run cannot be the one who signs it off as {role}.")
        elif signed.person_id in people:
            reasons.append(f"The sign-off as {role} has to come from somebody who has not signed in another role.")
        if signed is not None:
            people.add(signed.person_id)
    return reasons


def _newest(given: Sequence[SignOff]) -> dict[str, SignOff]:
    """By role the newest sign-off, oldest role first."""
    found: dict[str, SignOff] = {}
    for one in given:
        found.pop(one.role, None)
        found[one.role] = one
    return found
