"""What one person has done in one queue so far, as the page of an item tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from constitutions_app.composed import asked_often
from training_app.models import Reservation

NEWEST_DECISIONS = 200

_HISTORY = """
SELECT (SELECT count(*) FROM training_app_reservation
         WHERE queue_id = %(queue)s AND auditor_id = %(auditor)s AND state = 'decided'),
       (SELECT i.position FROM training_app_reservation r JOIN training_app_queueitem i ON i.id = r.item_id
         WHERE r.queue_id = %(queue)s AND r.auditor_id = %(auditor)s AND r.state IN ('decided', 'late')
           AND r.id <> %(reservation)s AND r.decided_at < coalesce(%(before)s, 'infinity'::timestamptz)
         ORDER BY r.decided_at DESC LIMIT 1),
       ARRAY(SELECT decided_at FROM training_app_reservation
              WHERE queue_id = %(queue)s AND auditor_id = %(auditor)s AND state = 'decided'
              ORDER BY decided_at DESC LIMIT %(newest)s)
"""


@dataclass(frozen=True)
class History:
    """What a person decided in a queue, before one reservation of theirs where it is over, else until now."""

    decided: int
    """Items that count."""
    previous: int | None
    """The place of the item they decided last."""
    times: Sequence[datetime]
    """When, of the newest NEWEST_DECISIONS."""


def history_of(reservation: Reservation, *, is_over: bool) -> History:
    """One query, by an index over the person's reservations in this queue."""
    values = {
        "queue": reservation.queue_id,
        "auditor": reservation.auditor_id,
        "reservation": reservation.pk,
        "before": reservation.decided_at if is_over else None,
        "newest": NEWEST_DECISIONS,
    }
    [(decided, previous, times)] = asked_often(_HISTORY, values)
    return History(decided, previous, times)
