"""Keeping what was judged: a blind choice, or the end of a reservation with the counts that follow.

Each is one conditional UPDATE, the first of its transaction, which waits for the disk once it has let go of its locks
(`disk.py`). Times are the database's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User

from training_app.models import Reservation
from training_app.queues.disk import first_of_a_promise
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
WITH mine AS (
    UPDATE training_app_reservation SET state = %(to)s, audit_id = %(audit)s, decided_at = clock_timestamp()
     WHERE id = %(reservation)s AND auditor_id = %(auditor)s AND choice <> '' AND state = %(from)s
    RETURNING item_id, queue_id, choice, seconds, decided_at
), item AS (
    UPDATE training_app_queueitem i SET decided = decided + %(counts)s FROM mine WHERE i.id = mine.item_id
    RETURNING decided
), queue AS (
    UPDATE training_app_auditqueue q SET decisions = decisions + %(counts)s FROM mine, item WHERE q.id = mine.queue_id
    RETURNING decisions
)
SELECT mine.choice, mine.seconds, mine.decided_at, item.decided, queue.decisions FROM mine, item, queue
"""


def keep_choice(
    reservation: Reservation, user: User, *, key: UUID, choice: str, seconds: int | None, answers: Mapping[str, bool]
) -> bool:
    """Keep the first choice of whoever was given the item; False where there is one, or where it was refused."""
    kept: dict[str, Any] = {"choice": choice, "choice_key": key, "seconds": seconds, "answers": dict(answers)}
    row = first_of_a_promise(
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

    Item and queue count what is DECIDED. Returns when; None where there is no blind choice or it is in another state,
    and nothing was changed. The choice and the seconds of `reservation` are those of the row from then on.
    """
    origin = {State.DECIDED: State.OPEN, State.LATE: State.EXPIRED}[State(to)]
    row = first_of_a_promise(
        _END,
        {
            "to": to,
            "from": origin,
            "counts": int(to == State.DECIDED),
            "audit": audit_id,
            "reservation": reservation.pk,
            "auditor": user.pk,
        },
    )
    if row is None:
        return None
    at: datetime
    reservation.choice, reservation.seconds, at, reservation.item.decided, reservation.queue.decisions = row
    return at
