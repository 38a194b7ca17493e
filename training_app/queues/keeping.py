"""Keeping what was judged: a blind choice, the end of a reservation, and the counts that follow. Times are the
database's, and each is one conditional UPDATE. Call them in a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection

from training_app.models import Reservation
from training_app.queues.giving import LEASE

State = Reservation.State

_CHOOSE = """
UPDATE training_app_reservation
   SET choice = %(choice)s, choice_key = %(key)s, answers = %(answers)s::jsonb, seconds = %(seconds)s,
       chosen_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => %(lease)s)
 WHERE id = %(reservation)s AND auditor_id = %(auditor)s AND choice = '' AND state IN ('open', 'expired')
RETURNING state, chosen_at, expires_at
"""

_END = """
UPDATE training_app_reservation SET state = %(to)s, audit_id = %(audit)s, decided_at = clock_timestamp()
 WHERE id = %(reservation)s AND auditor_id = %(auditor)s AND choice <> '' AND state = %(from)s
RETURNING choice, seconds, decided_at
"""

_COUNT = """
WITH item AS (UPDATE training_app_queueitem SET decided = decided + 1 WHERE id = %(item)s RETURNING decided),
     queue AS (UPDATE training_app_auditqueue SET decisions = decisions + 1 WHERE id = %(queue)s RETURNING decisions)
SELECT item.decided, queue.decisions FROM item, queue
"""


def keep_choice(
    reservation: Reservation, user: User, *, key: UUID, choice: str, seconds: int | None, answers: Mapping[str, bool]
) -> bool:
    """Keep the first choice of whoever was given the item; False where there is one, or where it was refused."""
    kept: dict[str, Any] = {"choice": choice, "choice_key": key, "seconds": seconds, "answers": dict(answers)}
    row = _changed(
        _CHOOSE,
        {
            "choice": choice,
            "key": key,
            "seconds": seconds,
            "answers": json.dumps(kept["answers"]),
            "lease": LEASE.total_seconds(),
            "reservation": reservation.pk,
            "auditor": user.pk,
        },
    )
    if row is None:
        return False
    kept |= {"state": row[0], "chosen_at": row[1], "expires_at": row[2]}
    for name, value in kept.items():
        setattr(reservation, name, value)
    return True


def end_judged(reservation: Reservation, user: User, *, audit_id: UUID | None, to: str) -> datetime | None:
    """End a reservation with the audit that is about to be kept: DECIDED one that is open, LATE one that has expired.

    Returns when; None where there is no blind choice or it is in another state, and nothing was changed. The choice and
    the seconds of `reservation` are those of the row from then on.
    """
    origin = {State.DECIDED: State.OPEN, State.LATE: State.EXPIRED}[State(to)]
    row = _changed(
        _END,
        {"to": to, "from": origin, "audit": audit_id, "reservation": reservation.pk, "auditor": user.pk},
    )
    if row is None:
        return None
    reservation.choice, reservation.seconds = row[:2]
    at: datetime = row[2]
    return at


def count_decision(reservation: Reservation) -> None:
    """One decision more of the item and of the queue. Everybody waits for the queue's row: call it late."""
    row = _changed(_COUNT, {"item": reservation.item_id, "queue": reservation.queue_id})
    if row is not None:
        reservation.item.decided, reservation.queue.decisions = row


def _changed(statement: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What a statement says of the row it changed; None where it changed none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
