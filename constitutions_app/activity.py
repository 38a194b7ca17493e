"""Read side: what was done about one constitution, newest first, a page at a time.

Every verb about something of a constitution is recorded of the constitution, so one pair of columns finds them all.
Each question below reads what it shows and no more, by an index: position in the order, never a count or an offset,
says where a page begins, and the choices of the filters are found one step of the index each.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, models

from constitutions_app.models import Constitution, LedgerEntry
from constitutions_app.models.ledger import principle_of_entry

PAGE = 50


@dataclass(frozen=True)
class Asked:
    """What to show of the activity: all of it, or one person's, one verb's, one principle's. `before` is a sequence."""

    person: int | None = None
    verb: str = ""
    principle: str = ""
    before: int | None = None


def entries_of(constitution: Constitution) -> models.QuerySet[LedgerEntry]:
    """Every ledger entry that is about the constitution or something of it."""
    return LedgerEntry.objects.filter(object_type=constitution._meta.label_lower, object_id=str(constitution.pk))


def page_of(constitution: Constitution, asked: Asked) -> tuple[list[LedgerEntry], bool]:
    """At most PAGE entries, newest first, and whether there are older ones. One query."""
    entries = entries_of(constitution)
    if asked.person is not None:
        entries = entries.filter(actor_id=asked.person)
    if asked.verb:
        entries = entries.filter(verb=asked.verb)
    if asked.principle:
        entries = entries.alias(named=principle_of_entry()).filter(named=asked.principle)
    if asked.before:
        entries = entries.filter(seq__lt=asked.before)
    found = list(entries.order_by("-seq")[: PAGE + 1])
    return found[:PAGE], len(found) > PAGE


def people_of(constitution: Constitution) -> list[tuple[int, str]]:
    """Who did something about it: ids and the names they have in their newest entries, by name. One query."""
    found = [(int(str(pk)), str(name)) for pk, name in _asked(_PEOPLE, constitution)]
    return sorted(found, key=lambda row: (row[1], row[0]))


def verbs_of(constitution: Constitution) -> list[str]:
    """The verbs that were done about it, in order. One query."""
    return [str(verb) for (verb,) in _asked(_VERBS, constitution)]


def _asked(sql: str, constitution: Constitution) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"type": constitution._meta.label_lower, "id": str(constitution.pk)})
        return list(cursor.fetchall())


_VERBS = """
    WITH RECURSIVE step (found) AS (
        (
            SELECT verb FROM constitutions_app_ledgerentry
            WHERE object_type = %(type)s AND object_id = %(id)s ORDER BY verb LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT verb FROM constitutions_app_ledgerentry
            WHERE object_type = %(type)s AND object_id = %(id)s AND verb > step.found ORDER BY verb LIMIT 1
        )
        FROM step WHERE step.found IS NOT NULL
    )
    SELECT found FROM step WHERE found IS NOT NULL ORDER BY found
"""
"""One step of the index per verb, however many entries there are."""

_PEOPLE = """
    WITH RECURSIVE step (found) AS (
        (
            SELECT actor_id FROM constitutions_app_ledgerentry
            WHERE object_type = %(type)s AND object_id = %(id)s AND actor_id IS NOT NULL ORDER BY actor_id LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT actor_id FROM constitutions_app_ledgerentry
            WHERE object_type = %(type)s AND object_id = %(id)s AND actor_id > step.found ORDER BY actor_id LIMIT 1
        )
        FROM step WHERE step.found IS NOT NULL
    )
    SELECT step.found, (
        SELECT actor_name FROM constitutions_app_ledgerentry
        WHERE object_type = %(type)s AND object_id = %(id)s AND actor_id = step.found ORDER BY seq DESC LIMIT 1
    )
    FROM step WHERE step.found IS NOT NULL
"""
"""One step per person, and one more for the name."""
