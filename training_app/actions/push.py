"""The verb of handing on: having a released checkpoint written as a hub keeps models, and pushed to one."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.core.digests import SIGNATURE
from training_app.core.hub import is_name
from training_app.hub_copies import no_hub
from training_app.models import Checkpoint, HubCopy
from training_app.refusals import ReleaseRefused
from training_app.releases import release_of
from training_app.tasks import ring_release_work


def push_checkpoint(
    *,
    user: User,
    checkpoint: Checkpoint,
    repository: str = "",
    is_private: bool = True,
    say: Callable[[str], None] | None = None,
) -> HubCopy:
    """Queue a copy and wake a `default` worker; the one that is under way is returned. No repository: only a folder.

    Raises ReleaseRefused, nothing written, for a name that is none, for a push without a hub, and while the rules of
    release ask for something more.
    """
    repository = repository.strip()
    if repository and not is_name(repository):
        raise ReleaseRefused("Name the repository as ORG/NAME: letters, digits, dots, hyphens and underscores.")
    if repository and (reason := no_hub()):
        raise ReleaseRefused(f"{reason} Nothing was pushed.")
    with transaction.atomic():
        Checkpoint.objects.select_for_update(no_key=True).get(pk=checkpoint.pk)
        if missing := release_of(checkpoint).missing:
            raise ReleaseRefused(f"It cannot be handed on yet. {' '.join(missing)}")
        under_way = (HubCopy.State.QUEUED, HubCopy.State.RUNNING)
        if (row := HubCopy.objects.filter(checkpoint=checkpoint, state__in=under_way).first()) is not None:
            return row
        asked = HubCopy.objects.create(
            checkpoint=checkpoint, repository=repository, endpoint=settings.HUB_ENDPOINT if repository else "",
            is_private=is_private, total=_steps(checkpoint, pushed=bool(repository)), created_by=user,
        )  # fmt: skip
        where = {"repository": repository, "endpoint": asked.endpoint, "private": is_private} if repository else {}
        record(actor=user, verb="checkpoint.push", obj=asked, data={"digest": checkpoint.digest, **where})
        ring_release_work(asked.pk, "The copy", say=say)
    return asked


def _steps(checkpoint: Checkpoint, *, pushed: bool) -> int:
    """Files to copy, with manifest, card and signature; each is counted once more when it is uploaded."""
    files = len(checkpoint.manifest["files"]) + 2 + (checkpoint.folder / SIGNATURE).is_file()
    return files * 2 if pushed else files
