"""Giving items out: one conditional UPDATE a gift, so that no item is in more hands than its queue asks for.

Rows that others are being given at this moment are passed over (SKIP LOCKED), so that fifty people who ask at once
wait for nobody while there is something else. What expired comes back first. Times are the database's.
"""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from constitutions_app.composed import asked_often
from training_app.models import AuditQueue, QueueItem, Reservation
from training_app.queues.disk import first_of_a_lease

LEASE = timedelta(minutes=15)
"""How long an item stays with a person who does nothing with it."""

RETURNING = -1
"""First key of the advisory lock under which expired reservations come back; people's own locks have a queue's id."""

_GIVE = """
WITH given AS (
UPDATE training_app_queueitem
   SET taken = taken + 1
 WHERE id = (
        SELECT i.id FROM training_app_queueitem i
         WHERE i.queue_id = %(queue)s AND i.taken < i.wanted
           AND NOT EXISTS (SELECT 1 FROM training_app_reservation r
                            WHERE r.item_id = i.id AND r.auditor_id = %(auditor)s AND r.state <> 'expired')
           AND NOT EXISTS (SELECT 1 FROM training_app_queueitem j JOIN training_app_reservation r ON r.item_id = j.id
                            WHERE (j.label_id = i.label_id OR j.step_id = i.step_id
                                   OR j.comparison_id = i.comparison_id)
                              AND r.auditor_id = %(auditor)s AND (r.state = 'refused' OR r.choice <> ''))
           AND NOT EXISTS (SELECT 1 FROM training_app_audit a
                            WHERE a.label_id = i.label_id AND a.auditor_id = %(auditor)s)
           AND NOT EXISTS (SELECT 1 FROM training_app_audit a
                            WHERE a.step_id = i.step_id AND a.auditor_id = %(auditor)s)
         ORDER BY i.position
         LIMIT 1
           FOR UPDATE OF i SKIP LOCKED
       )
RETURNING id
)
INSERT INTO training_app_reservation
       (item_id, queue_id, auditor_id, state, taken_at, expires_at, shown_first, choice, answers)
SELECT id, %(queue)s, %(auditor)s, 'open', clock_timestamp(), clock_timestamp() + make_interval(secs => %(seconds)s),
       CASE get_byte(sha256(convert_to(concat(%(auditor)s, ':', id), 'UTF8')), 0) & 1 WHEN 0 THEN 'a' ELSE 'b' END,
       '', '{}'
  FROM given
ON CONFLICT (item_id, auditor_id) DO UPDATE
   SET state = 'open', taken_at = EXCLUDED.taken_at, expires_at = EXCLUDED.expires_at
RETURNING id
"""
"""Which response stands first is the last bit of a digest of person and item: the same each time they look, and as good
as chance among people."""

_GIVE_OR_WAIT = _GIVE.replace("SKIP LOCKED", "")
"""Where there is nothing else, the same among those that others are at: one may have a place when they are done."""

_ALONE = """
SELECT pg_advisory_xact_lock(%(lock)s, %(person)s),
       EXISTS (SELECT 1 FROM training_app_reservation
                WHERE queue_id = %(queue)s AND state = 'open' AND expires_at < clock_timestamp())
"""

_RETURN = """
WITH gone AS (
    UPDATE training_app_reservation SET state = 'expired'
     WHERE id IN (SELECT id FROM training_app_reservation
                   WHERE queue_id = %(queue)s AND state = 'open' AND expires_at < clock_timestamp()
                     FOR UPDATE SKIP LOCKED)
    RETURNING item_id
)
UPDATE training_app_queueitem i SET taken = taken - back.n
  FROM (SELECT item_id, count(*) AS n FROM gone GROUP BY item_id) back
 WHERE i.id = back.item_id
"""


def bring_back_expired(queue: AuditQueue) -> None:
    """Take items from people who let their time pass, unless another request is at it. Call it in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [RETURNING, queue.pk % 2**31])
        if (row := cursor.fetchone()) and row[0]:
            cursor.execute(_RETURN, {"queue": queue.pk})


def give_one(queue: AuditQueue, user: User) -> int | None:
    """Reserve the first item this person can have; the reservation's id, or None when there is none for them.

    Call it in a transaction that is `alone_to_take`. Nobody is given what they refused, decided, or judged elsewhere.
    """
    values = {"queue": queue.pk, "auditor": user.pk, "seconds": LEASE.total_seconds()}
    given = asked_often(_GIVE, values) or asked_often(_GIVE_OR_WAIT, values)
    return int(given[0][0]) if given else None


def alone(queue: AuditQueue, user: User) -> None:
    """Wait until no other request of this person asks this queue; held to the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [queue.pk % 2**31, user.pk % 2**31])


def alone_to_take(queue: AuditQueue, user: User) -> bool:
    """The same, first in a transaction that gives a lease. Returns whether anybody let their time pass."""
    values = {"lock": queue.pk % 2**31, "person": user.pk % 2**31, "queue": queue.pk}
    row = first_of_a_lease(_ALONE, values)
    return bool(row and row[1])


def take_again(reservation: Reservation) -> bool:
    """Hold an expired reservation again if its item still has a place; False when others have taken them all."""
    with transaction.atomic():
        free = QueueItem.objects.filter(pk=reservation.item_id, taken__lt=F("wanted"))
        if not free.update(taken=F("taken") + 1):
            return False
        mine = Reservation.objects.filter(pk=reservation.pk, state=Reservation.State.EXPIRED)
        if not mine.update(state=Reservation.State.OPEN, expires_at=Now() + LEASE):
            transaction.set_rollback(True)
            return False
    reservation.state = Reservation.State.OPEN
    return True


def give_back(reservation: Reservation, state: Reservation.State) -> bool:
    """End an open reservation in `state` and free its place; False when it was not open any more."""
    if not Reservation.objects.filter(pk=reservation.pk, state=Reservation.State.OPEN).update(state=state):
        return False
    QueueItem.objects.filter(pk=reservation.item_id).update(taken=F("taken") - 1)
    reservation.state = state
    return True
