"""Counting for a page: exactly up to a thousand, then "1,000+", so that it costs the same among a million rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection

from training_app.explorer.tokens import VERDICTS, Fact

MOST = 1000


@dataclass(frozen=True)
class UpTo:
    """How many there are; at least so many where `is_more`."""

    number: int
    is_more: bool = False

    @classmethod
    def of(cls, counted: int) -> UpTo:
        """What a count that stopped one above MOST says."""
        return cls(min(counted, MOST), counted > MOST)

    def __add__(self, other: UpTo) -> UpTo:
        return UpTo(self.number + other.number, self.is_more or other.is_more)

    def __bool__(self) -> bool:
        return self.number > 0

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.is_more else ''}"


NONE = UpTo(0)

_CITING = {
    "labels": "SELECT 1 FROM training_app_ailabel WHERE principle_id = cited.pk",
    "steps": "SELECT 1 FROM training_app_tracestep WHERE principle_id = cited.pk",
    "audits": "SELECT 1 FROM training_app_auditfacts WHERE facets @> ARRAY[explorer_token({principle}, cited.pk)]",
    "overrides": "SELECT 1 FROM training_app_auditfacts WHERE facets @> "
    "ARRAY[explorer_token({principle}, cited.pk), explorer_token({verdict}, {override})]",
}


@dataclass(frozen=True)
class Citing:
    """What cites one principle at one version, and what people said of that. Comments count among the audits."""

    labels: UpTo = NONE
    steps: UpTo = NONE
    audits: UpTo = NONE
    overrides: UpTo = NONE


def citing(principles: Iterable[int]) -> Mapping[int, Citing]:
    """What cites each of these principles at versions (primary keys); what nothing cites is left out. One query."""
    facts = {"principle": int(Fact.PRINCIPLE), "verdict": int(Fact.VERDICT), "override": VERDICTS.index("override")}
    columns = ", ".join(
        f"(SELECT count(*) FROM ({sql.format(**facts)} LIMIT {MOST + 1}) AS few) AS {name}"  # noqa: S608  # our own names
        for name, sql in _CITING.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pk, {columns} FROM unnest(%s::bigint[]) AS cited (pk)", [list(principles)])  # noqa: S608
        rows = cursor.fetchall()
    return {pk: Citing(*map(UpTo.of, counts)) for pk, *counts in rows if any(counts)}
