"""Who owns a run: leases with a fencing token, by the database's clock and one conditional UPDATE each.

A worker owns a run from its claim until its lease ends unrenewed. Every claim raises the run's `fencing_token`;
whatever a worker writes, it writes after `hold` in the same transaction, which fails for a token that is no longer the
newest. So a worker that was only slow, and whose run has been given to another, can do no harm: at most one token ever
writes.
"""

from __future__ import annotations

import hashlib
import socket
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import psutil
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest, Now

from training_app.models import Run
from training_app.models.run import ACTIVE_STATES, RunState

DURATION = timedelta(seconds=15)
"""Renewed about once a second, so many renewals may fail before a lease ends."""

SHUT_DOWN = "The worker was shut down; the run goes on as soon as a worker is free."

_CLAIM = """
UPDATE training_app_run
   SET state = CASE WHEN state = 'queued' THEN 'running' ELSE state END,
       reason = CASE WHEN state = 'queued' THEN '' ELSE reason END,
       fencing_token = fencing_token + 1,
       attempt = attempt + 1,
       lease_owner = %(owner)s,
       lease_expires_at = clock_timestamp() + make_interval(secs => %(seconds)s),
       started_at = COALESCE(started_at, clock_timestamp())
 WHERE id = %(run)s
   AND ((state = 'queued' AND NOT EXISTS (SELECT 1 FROM training_app_runqueue WHERE paused))
        OR (state IN ('running', 'stopping') AND lease_expires_at < clock_timestamp()))
RETURNING fencing_token
"""


class LeaseLost(Exception):
    """The run belongs to somebody else by now, or has ended: whoever gets this stops at once and writes nothing."""


@dataclass(frozen=True)
class Lease:
    """A claim on one run. Only the newest token of a run can write."""

    run_id: uuid.UUID
    owner: str
    token: int


def new_owner() -> str:
    """A name for one claim: machine, process with its start, and something that never repeats."""
    process = psutil.Process()
    return f"{machine()}:{process.pid}:{int(process.create_time())}:{uuid.uuid4().hex[:12]}"


@cache
def machine() -> str:
    """This machine since it was booted, and the set of processes that can be seen from here (its PID namespace)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        seen = f"{boot}-{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        seen = uuid.uuid4().hex  # not Linux: no name of an owner is ever recognised, and leases end by themselves
    return f"{socket.gethostname()[:60]}-{hashlib.sha256(seen.encode()).hexdigest()[:12]}"


def owner_is_gone(owner: str) -> bool:
    """Whether the process that made this claim has certainly ended: it ran where we run, and is no longer there."""
    where, _, rest = owner.partition(":")
    pid, _, rest = rest.partition(":")
    start = rest.partition(":")[0]
    if where != machine() or not (pid.isdigit() and start.isdigit()):
        return False
    try:
        return abs(int(psutil.Process(int(pid)).create_time()) - int(start)) > 1
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def end_at_once(run: Run) -> bool:
    """Let the lease of a run end now, because its owner is gone; False when it has been claimed anew meanwhile."""
    held = Run.objects.filter(pk=run.pk, fencing_token=run.fencing_token, state__in=ACTIVE_STATES)
    return bool(held.update(lease_expires_at=Now() - timedelta(milliseconds=1)))


def claim(run_id: uuid.UUID, owner: str, *, duration: timedelta = DURATION) -> Lease | None:
    """Take the run if it is queued, or if whoever had it let the lease end. None when it is not to be had.

    While the queue is paused no queued run is to be had.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"owner": owner[:200], "seconds": duration.total_seconds(), "run": run_id})
        row = cursor.fetchone()
    return Lease(run_id, owner, row[0]) if row else None


def renew(lease: Lease, *, duration: timedelta = DURATION) -> RunState:
    """Prolong the lease; returns the run's state: running, or stopping when people asked for that. Raises LeaseLost."""
    renewed = _held(lease).update(lease_expires_at=Now() + duration)
    if not renewed:
        raise LeaseLost(f"The lease of run {lease.run_id} is held by somebody else.")
    return RunState(Run.objects.values_list("state", flat=True).get(pk=lease.run_id))


def hold(lease: Lease) -> None:
    """Make sure, inside a transaction, that the lease is still ours, and that it stays so until the transaction ends.

    Updating the row locks it, so no claim can come between this and the commit. Raises LeaseLost.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("hold() protects a transaction; call it inside transaction.atomic().")
    renew(lease)


def give_back(lease: Lease, *, reason: str = SHUT_DOWN) -> bool:
    """Queue the run again, at once and without counting the attempt; False when it was not ours to give any more."""
    given = _held(lease, RunState.RUNNING).update(
        state=RunState.QUEUED,
        attempt=Greatest(F("attempt") - 1, 0),
        lease_owner="",
        lease_expires_at=None,
        reason=reason,
    )
    return bool(given)


def finish(lease: Lease, state: RunState, *, reason: str = "", advice: str = "", exit_code: int | None = None) -> None:
    """Bring the run into an ended state and let go of it. Raises LeaseLost."""
    ended = _held(lease).update(
        state=state,
        reason=reason,
        advice=advice,
        exit_code=exit_code,
        finished_at=Now(),
        lease_owner="",
        lease_expires_at=None,
    )
    if not ended:
        raise LeaseLost(f"The lease of run {lease.run_id} is held by somebody else.")


def _held(lease: Lease, *states: RunState) -> QuerySet[Run]:
    return Run.objects.filter(pk=lease.run_id, fencing_token=lease.token, state__in=states or ACTIVE_STATES)
