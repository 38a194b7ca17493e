"""Verbs of release: signing a checkpoint off, pointing an alias at it, and the rules that production keeps to."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.access import Role, has_role
from constitutions_app.ledger import record
from constitutions_app.models import Constitution
from training_app.models import Checkpoint, CheckpointAlias, ReleaseRules, SignOff
from training_app.refusals import ReleaseRefused
from training_app.releases import SIGNERS, release_of, required_roles

LONGEST_NOTE = 4000


def sign_off(*, user: User, checkpoint: Checkpoint, role: str, word: str, note: str = "") -> SignOff:
    """Say in one role that a checkpoint may be used, or that it may not. The same said twice in a row is one row.

    Raises ReleaseRefused, nothing written, for a role the person does not have, an unknown word, or a refusal without
    a reason.
    """
    note = note.replace("\x00", "").strip()
    if role not in SIGNERS or not has_role(user, Role(role)):
        raise ReleaseRefused("Sign off in a role that you have.")
    if word not in SignOff.Word.values:
        raise ReleaseRefused("Say whether you sign it off or refuse it.")
    if word == SignOff.Word.REFUSE and not note:
        raise ReleaseRefused("Say in a sentence why, so that whoever made it knows what to mend.")
    if len(note) > LONGEST_NOTE:
        raise ReleaseRefused(f"The note is longer than {LONGEST_NOTE} characters; shorten it.")
    with transaction.atomic():
        _lock(checkpoint.version.constitution)
        last = SignOff.objects.filter(checkpoint=checkpoint, role=role).last()
        if last is not None and (last.person_id, last.word, last.note) == (user.pk, word, note):
            return last
        signed = SignOff.objects.create(checkpoint=checkpoint, role=role, word=word, note=note, person=user)
        data = {"digest": checkpoint.digest, "role": role, "word": word, "note": note}
        record(actor=user, verb="checkpoint.sign_off", obj=checkpoint, data=data)
    return signed


def promote_checkpoint(*, user: User, checkpoint: Checkpoint, name: str) -> CheckpointAlias:
    """Point "candidate" or "production" of the constitution at a checkpoint; every move stays in the ledger.

    Raises ReleaseRefused, nothing changed, for another name, and for production while something is missing.
    """
    if name not in CheckpointAlias.Name.values:
        raise ReleaseRefused("A checkpoint becomes “candidate” or “production”.")
    constitution = checkpoint.version.constitution
    with transaction.atomic():
        _lock(constitution)
        if name == CheckpointAlias.Name.PRODUCTION and (missing := release_of(checkpoint).missing):
            raise ReleaseRefused(f"It cannot become production yet. {' '.join(missing)}")
        before = (
            CheckpointAlias.objects.select_related("checkpoint").filter(constitution=constitution, name=name).first()
        )
        if before is not None and before.checkpoint_id == checkpoint.pk:
            return before
        alias, _ = CheckpointAlias.objects.update_or_create(
            constitution=constitution, name=name, defaults={"checkpoint": checkpoint, "moved_by": user}
        )
        data = {"alias": name, "from": before.checkpoint.digest if before else None, "to": checkpoint.digest}
        record(actor=user, verb="checkpoint.promote", obj=checkpoint, data=data)
    return alias


def withdraw_alias(*, user: User, checkpoint: Checkpoint, name: str) -> None:
    """Take an alias away, so that it points nowhere. Raises ReleaseRefused where it points at another checkpoint."""
    with transaction.atomic():
        _lock(checkpoint.version.constitution)
        gone, _ = CheckpointAlias.objects.filter(checkpoint=checkpoint, name=name).delete()
        if not gone:
            raise ReleaseRefused(f"“{name}” does not point at this checkpoint; nothing was changed.")
        data = {"alias": name, "from": checkpoint.digest, "to": None}
        record(actor=user, verb="checkpoint.promote", obj=checkpoint, data=data)


def change_release_rules(*, user: User, constitution: Constitution, roles: Iterable[str]) -> bool:
    """Set the roles that must sign off before production; returns whether that changed anything.

    Raises ReleaseRefused for a role nobody signs off in, and where somebody who is no admin asks for less than before.
    """
    wanted = set(roles)
    if wanted - set(SIGNERS):
        raise ReleaseRefused("Choose among the roles that can sign off.")
    with transaction.atomic():
        _lock(constitution)
        before = required_roles(constitution)
        if wanted == set(before):
            return False
        if set(before) - wanted and not has_role(user, Role.ADMIN):
            raise ReleaseRefused("Only an admin can ask for fewer sign-offs.")
        now = [role.value for role in SIGNERS if role in wanted]
        ReleaseRules.objects.update_or_create(constitution=constitution, defaults={"roles": now, "updated_by": user})
        data = {"before": [role.value for role in before], "now": now}
        record(actor=user, verb="constitution.change_release_rules", obj=constitution, data=data)
    return True


def _lock(constitution: Constitution) -> None:
    """One decision about the releases of a constitution at a time."""
    Constitution.objects.select_for_update(no_key=True).get(pk=constitution.pk)
