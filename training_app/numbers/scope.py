"""Which labels, steps and audits the figures are about, as it stands in the address: declared names only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

from django.db.models import Q
from django.http import QueryDict

from training_app.access import items_to_come

LONGEST = 60
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Scope:
    """A question to the numbers; None and "" ask nothing. Names and meanings are those of the lists' filters."""

    version: int | None = None
    """Primary key of a published version."""
    principle: int | None = None
    """Primary key of a principle at its version."""
    key: str = ""
    """A principle's stable id, at whichever version."""
    judge: int | None = None
    run: int | None = None
    """A run's number."""
    tag: str = ""
    auditor: int | None = None
    since: date | None = None
    until: date | None = None
    """Days of the verdicts, both included, UTC."""
    blind: bool = False
    """Without what queues can still give to somebody; no part of an address (telling.py)."""

    @classmethod
    def from_query(cls, query: QueryDict | Mapping[str, str]) -> Scope:
        """What an address asks; what cannot be read asks nothing."""
        read: dict[str, Any] = {}
        for name, parse in _PARSERS.items():
            text = (query.get(name) or "").replace("\x00", "").strip()
            try:
                read |= {name: parse(text)} if text else {}
            except ValueError:
                continue
        return cls(**read)

    @property
    def asked(self) -> dict[str, Any]:
        """What is asked, by name."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) != one.default}

    def to_query(self) -> str:
        """The address that asks this: "" or "version=3&tag=money", always spelt in one way."""
        query = QueryDict(mutable=True)
        query.update({name: str(value) for name, value in self.asked.items()})
        return query.urlencode()

    @property
    def digest(self) -> str:
        """What a kept report of this scope is found by."""
        return sha256(self.to_query().encode()).hexdigest()

    def of(self, **changes: Any) -> Scope:
        """The scope with some parts changed."""
        return replace(self, **changes)

    def labels(self, to_label: str = "") -> Q:
        """The condition on AI labels, or on rows that lead to one by `to_label` ("label__")."""
        asked = _q(
            to_label,
            {
                "run__version_id": self.version, "principle_id": self.principle, "principle__key": self.key,
                "judge_id": self.judge, "run__number": self.run,
                "comparison__prompt__tags__contains": [self.tag] if self.tag else None,
            },
        )  # fmt: skip
        return asked & self._told(f"{to_label}pk", "label") & self._told(f"{to_label}comparison", "comparison")

    def steps(self, to_step: str = "") -> Q:
        """The condition on trace steps; a judge has none."""
        if self.judge is not None:
            return Q(pk__in=[])
        asked = _q(
            to_step,
            {
                "principle__version_id": self.version, "principle_id": self.principle, "principle__key": self.key,
                "trace__run__number": self.run, "trace__prompt__tags__contains": [self.tag] if self.tag else None,
            },
        )  # fmt: skip
        return asked & self._told(f"{to_step}pk", "step")

    def _told(self, path: str, kind: str) -> Q:
        return ~Q(**{f"{path}__in": items_to_come(kind)}) if self.blind else Q()

    def audits(self) -> Q:
        """The condition on who gave a verdict and when."""
        begin = _midnight(self.since) if self.since else None
        end = _midnight(self.until + timedelta(days=1)) if self.until else None
        return _q("", {"auditor_id": self.auditor, "created_at__gte": begin, "created_at__lt": end})


def _q(prefix: str, wanted: Mapping[str, Any]) -> Q:
    return Q(**{f"{prefix}{name}": value for name, value in wanted.items() if value not in (None, "")})


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > LARGEST:
        raise ValueError(text)
    return int(text)


def _day(text: str) -> date:
    day = date.fromisoformat(text)
    if not 2000 <= day.year <= 9000:
        raise ValueError(text)
    return day


def _short(text: str) -> str:
    return text[:LONGEST]


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "version": _number, "principle": _number, "key": _short, "judge": _number, "run": _number, "tag": _short,
    "auditor": _number, "since": _day, "until": _day,
}  # fmt: skip
