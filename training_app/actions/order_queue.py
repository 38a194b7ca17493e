"""The queue of runs, ordered by people: what goes first, and whether anything is begun at all."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app import placement
from training_app.models import Run, RunQueue
from training_app.models.run import Priority, RunState
from training_app.refusals import SteeringRefused
from training_app.tasks import ring

MOVES = ("first", "earlier", "later", "last")
LONGEST_REASON = 300


def prioritise_run(*, user: User, run: Run, priority: int) -> Run:
    """Give a queued run another priority: 1 high, 0 normal, -1 low; it comes last among those that have it.

    Asking for the priority it has changes nothing. Raises SteeringRefused for a run that is not queued, and for a
    number that is no priority.
    """
    if priority not in Priority.values:
        raise SteeringRefused(f"A priority is one of {', '.join(map(str, Priority.values))}, not {priority}.")
    with transaction.atomic():
        before = _queued(run)
        if before.priority == priority:
            return before
        Run.objects.filter(pk=run.pk).update(priority=priority, place=0)
        after = Run.objects.get(pk=run.pk)
        record(actor=user, verb="run.prioritise", obj=after, data={"from": before.priority, "to": priority})
    return after


def move_run(*, user: User, run: Run, to: str) -> Run:
    """Move a queued run among those of its priority: to "first", "earlier", "later" or "last".

    Where it stands already, nothing changes. Raises SteeringRefused for a run that is not queued.
    """
    if to not in MOVES:
        raise SteeringRefused(f"A run is moved {', '.join(MOVES)}, not {to!r}.")
    with transaction.atomic():
        # All are locked in one statement and one order: two people who move at once wait and do not deadlock. Whoever
        # waited is told the places as they are by then, in the order they had before, so they are put in order here.
        waiting = list(placement.queued().select_for_update())
        moved = next((one for one in waiting if one.pk == run.pk), None) or _queued(run)
        peers = [one for one in waiting if one.priority == moved.priority]
        order = [one.pk for one in sorted(peers, key=lambda one: (one.place, one.number))]
        before = order.index(moved.pk)
        after = {"first": 0, "earlier": max(before - 1, 0), "later": before + 1, "last": len(order)}[to]
        order.insert(min(after, len(order) - 1), order.pop(before))
        if order.index(moved.pk) == before:
            return moved
        for place, pk in enumerate(order, start=-len(order)):
            Run.objects.filter(pk=pk).update(place=place)
        moved.refresh_from_db()
        data = {"from": before + 1, "to": order.index(moved.pk) + 1, "priority": moved.priority}
        record(actor=user, verb="run.move", obj=moved, data=data)
    return moved


def pause_queue(*, user: User, reason: str = "") -> RunQueue:
    """Begin no queued run any more; runs under way go on. Pausing a paused queue changes nothing."""
    return _open_or_pause(user, paused=True, reason=reason.strip()[:LONGEST_REASON])


def reopen_queue(*, user: User) -> RunQueue:
    """Begin queued runs again, and wake a worker for the first. Opening an open queue changes nothing."""
    return _open_or_pause(user, paused=False, reason="")


def _open_or_pause(user: User, *, paused: bool, reason: str) -> RunQueue:
    with transaction.atomic():
        RunQueue.objects.get_or_create(pk=RunQueue.THE_ONE, defaults={"changed_by": user})
        queue = RunQueue.objects.select_for_update().get(pk=RunQueue.THE_ONE)
        if queue.paused == paused:
            return queue
        queue.paused, queue.reason, queue.changed_by = paused, reason, user
        queue.save()
        verb = "run_queue.pause" if paused else "run_queue.open"
        record(actor=user, verb=verb, obj=queue, data={"reason": reason} if paused else {})
        if not paused and (following := placement.next_in_queue()):
            ring(following)
    return queue


def _queued(run: Run) -> Run:
    """The run, locked. Raises SteeringRefused when it does not wait in the queue."""
    found = Run.objects.select_for_update().get(pk=run.pk)
    if found.state != RunState.QUEUED:
        raise SteeringRefused(f"{found} is {found.get_state_display()}; only a queued run has a place in the queue.")
    return found
