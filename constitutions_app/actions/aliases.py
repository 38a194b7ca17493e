"""The verb that moves an alias: a name that points to a version and can point to another one tomorrow."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.actions.drafting import Refused
from constitutions_app.approvals import missing_approvals
from constitutions_app.ledger import record
from constitutions_app.models import Alias, Constitution, Version

LATEST = "latest"
APPROVED = "approved"


def move_alias(*, user: User, constitution: Constitution, name: str, version: Version | None) -> None:
    """Point an alias at a version, or take it away with None. Every move stays in the ledger.

    Raises Refused for "latest" (computed), an unfit name, another constitution's version, and for "approved" where the
    version lacks approvals that the constitution's rules ask for.
    """
    name = name.strip()
    with transaction.atomic():
        # What the rules ask for is read under the lock that changing them takes.
        Constitution.objects.select_for_update(no_key=True).get(pk=constitution.pk)
        if reason := _reason_against(constitution, name, version):
            raise Refused(reason)
        before = Alias.objects.select_related("version").filter(constitution=constitution, name=name).first()
        if (before.version_id if before else None) == (version.pk if version else None):
            return
        if version is None:
            Alias.objects.filter(constitution=constitution, name=name).delete()
        else:
            Alias.objects.update_or_create(
                constitution=constitution, name=name, defaults={"version": version, "moved_by": user}
            )
        record(
            actor=user,
            verb="alias.move",
            obj=constitution,
            data={
                "alias": name,
                "from": before.version.number if before else None,
                "to": version.number if version else None,
            },
        )


def _reason_against(constitution: Constitution, name: str, version: Version | None) -> str:
    if name == LATEST:
        return "“latest” always is the newest version of the main branch; it cannot be moved."
    if not re.fullmatch(r"[a-z][-a-z0-9_]{0,39}", name):
        return "An alias is a short name in small letters, digits and hyphens, for example “production”."
    if version is None:
        return ""
    if version.constitution_id != constitution.pk:
        return "This version belongs to another constitution."
    if name == APPROVED and (missing := missing_approvals(version)):
        return missing
    return ""
