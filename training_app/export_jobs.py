"""From a wish for a file to the file: claimed by a `default` worker, written aside, put whole, deleted when it is old.

The row decides, as with all short work (asked.py): one worker has it by a lease and a token, and one that vanished is
replaced. JSON lines and annotated pairs go on at the stretch where they broke off; Parquet is written anew. What was
hidden from the person and where the keys ended is noted once, when the first worker begins, so that whoever goes on
writes the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.http import Http404

from constitutions_app.ledger import record
from training_app import artifacts, asked
from training_app.access import Person
from training_app.core.checkpoints import sync_path
from training_app.core.digests import digest_file
from training_app.core.errors import BadInput
from training_app.core.stage import exclusive
from training_app.explorer.bounds import bounds_of
from training_app.explorer.conditions import conditions_of
from training_app.export_blindness import asked_in, come_since, hidden_now
from training_app.export_writing import write_file
from training_app.exports import rows_of_run, run_span
from training_app.models import Export
from training_app.stage_process import wait_until_free

GRACE = timedelta(minutes=2)
"""How long the parts of a file that nobody wants any more are left to the worker that may still be writing it."""
PATIENCE_S = 20.0
State = Export.State


class NotTold(Exception):
    """The file tells items that its person has come to judge blind; the message is one sentence."""

    def __init__(self, count: int) -> None:
        items = "1 item" if count == 1 else f"{count} items"
        super().__init__(
            f"Since this file was written, {items} that it may tell came into a queue for you to judge blind. "
            "Judge them first, or export again: the new file leaves them out."
        )


def waiting() -> list[UUID]:
    """Exports that nobody works on, and those whose file is to be deleted."""
    old = Export.objects.filter(is_kept=True, expires_at__lt=Now()).values_list("pk", flat=True)
    return [*asked.waiting(Export), *old]


def run_once(pk: UUID) -> str | None:
    """Claim an export and write its file, or delete the file of one whose time is over.

    Returns the state it was left in; None when there was nothing to write.
    """
    row = asked.claim(Export, pk)
    if row is None:
        _delete_when_old(pk)
        return None
    try:
        return _worked(row)
    except asked.Lost:
        _tidy_after(row)
        return None


def open_for(user: Person, row: Export) -> IO[bytes]:
    """The file of an export, open to read.

    Raises Http404 where there is none (any more), and NotTold while the person has yet to judge something blind that
    it tells.
    """
    if not row.is_there:
        raise Http404("There is no file of this export: it is not written, or its time is over.")
    if count := come_since(user, row):
        raise NotTold(count)
    file = artifacts.open_kept(row.path)
    if file is None:
        raise Http404("The file of this export is not in the storage.")
    return file


def _worked(row: Export) -> str:
    if row.attempt > asked.MOST_ATTEMPTS:
        return _failed(row, "Its workers went away several times in a row.", "Look at the workers' logs.")
    if not wait_until_free(row.folder, PATIENCE_S):
        return _failed(row, "Its folder is still in use by an earlier process.", "End that process, then ask again.")
    try:
        with exclusive(row.folder):
            return _written(row)
    except BadInput as error:  # somebody took the folder in between
        return _failed(row, error.message, "Ask again.")
    except artifacts.StorageFailed as error:
        return _failed(row, str(error), "See that the artifact storage answers, then ask again.")
    except OSError as error:
        return _failed(row, f"The file cannot be written: {error.strerror}.", "Make room for it, then ask again.")


def _written(row: Export) -> str:
    if row.began_at is None:
        _begin(row)
    asked.write(row, is_kept=True)
    done = write_file(row, _kept(row))
    asked.write(row, lease_expires_at=Now() + asked.FETCHING)  # Lost here: cancelled, and no file gets its name
    sync_path(row.partial)
    digest, size = digest_file(row.partial), row.partial.stat().st_size
    row.partial.replace(row.path)
    sync_path(row.folder)
    artifacts.put(row.folder)
    with transaction.atomic():
        asked.write(row, state=State.SUCCEEDED, done=done, total=done, bytes=size, digest=digest, eta_s=None,
                    finished_at=Now(), expires_at=Now() + timedelta(days=settings.EXPORT_DAYS),
                    lease_expires_at=None)  # fmt: skip
        record(actor=None, verb="export.written", obj=row, data={"rows": done, "bytes": size, "file": digest})
    return State.SUCCEEDED


def _begin(row: Export) -> None:
    """Note once what is hidden from the person and between which keys to look."""
    row.left_out = hidden_now(row.created_by, row)
    columns: dict[str, Any] = {"left_out": row.left_out, "began_at": Now()}
    if row.what == Export.What.ITEMS:
        undated = asked_in(row).without("since", "until")  # keys and times do not quite go together
        row.first, row.last = bounds_of(undated.kind, conditions_of(undated))
    elif row.run is not None:
        row.first, row.last = run_span(row.run, row.what)
        row.total = rows_of_run(row.run, row.what).count()
        columns |= {"total": row.total}
    asked.write(row, first=row.first, last=row.last, **columns)


def _kept(row: Export) -> Callable[[dict[str, Any]], None]:
    """Writes how far it is, and with it holds the row for another lease."""
    return lambda columns: asked.write(row, lease_expires_at=Now() + asked.LEASE, **columns)


def _failed(row: Export, reason: str, advice: str) -> str:
    """Ended, and what there is of the file goes away soon."""
    with transaction.atomic():
        asked.write(row, expires_at=Now() + GRACE)
        return asked.fail(row, "export.not_written", reason, advice)


def _tidy_after(row: Export) -> None:
    """Let go of a row that is not ours any more; where somebody cancelled it, what there is of the file goes too."""
    if Export.objects.filter(pk=row.pk, state=State.CANCELLED, fencing_token=row.fencing_token).exists():
        artifacts.forget(row.folder)
        Export.objects.filter(pk=row.pk).update(is_kept=False)


def _delete_when_old(pk: UUID) -> None:
    """Delete the file of an export that has ended and whose time is over. Raises StorageFailed: asked for again."""
    over = Q(state__in=(State.SUCCEEDED, State.FAILED, State.CANCELLED), is_kept=True, expires_at__lt=Now())
    row = Export.objects.filter(over, pk=pk).first()
    if row is not None:
        artifacts.forget(row.folder)
        Export.objects.filter(pk=pk).update(is_kept=False)
