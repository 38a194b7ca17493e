"""Items on which people disagree, the widest disagreement first, and what each comes to.

An item is found when two standing verdicts on it say different things, or somebody had the last word on it; the
explorer's facts say which those are. Its agreement is the raw agreement of the people who judged it: the share of pairs
of them that say the same, 0 when nobody agrees with anybody. Pages go by keyset, however many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from django.db.models import Q, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan

from training_app import verdicts
from training_app.access import Person
from training_app.explorer.blindness import kept_from
from training_app.explorer.conditions import TABLES
from training_app.explorer.filters import Filters
from training_app.explorer.finding import find
from training_app.explorer.tokens import FINALS, STATES, Fact, token
from training_app.models import Adjudication, AILabel, Audit, TraceStep
from training_app.verdicts import Final, Source

Row = TypeVar("Row", Audit, Adjudication)

PAGE_SIZE = 50
MOST = 1000
"""So many items that are kept back from somebody are counted."""
LARGEST = 2**63 - 1
DISPUTED = token(Fact.STATE, STATES.index("disputed"))
ADJUDICATED = token(Fact.FINAL, FINALS.index("adjudicated"))


@dataclass(frozen=True)
class Disputed:
    """One item with its standing verdicts, oldest first, and what they come to. `agreement` in [0, 1]."""

    item: AILabel | TraceStep
    said: Sequence[Audit]
    adjudications: Sequence[Adjudication]
    final: Final
    agreement: float

    @property
    def is_open(self) -> bool:
        return self.final.source is Source.UNRESOLVED


@dataclass(frozen=True)
class Found:
    """A page of them, and the place of the next; "" where there is none."""

    items: Sequence[Disputed]
    after: str


def open_ones(kind: str, user: Person, *, after: str = "", size: int = PAGE_SIZE) -> Found:
    """Items of a kind ("label", "step") that nobody has decided, the lowest agreement first, then the oldest item.

    What the person has yet to judge blind is left out, also of the places of pages. Six queries at most.
    """
    facts = _facts_of(kind, user).filter(facets__contains=[DISPUTED])
    if (place := _place(after)) is not None:
        facts = facts.filter(TupleGreaterThan(Tuple("agreement", "pk"), place))
    found = list(facts.order_by("agreement", "pk").values_list("pk", "agreement")[: size + 1])
    shown = found[:size]
    behind = f"{shown[-1][1]!r}~{shown[-1][0]}" if len(found) > size else ""
    return Found(_loaded(kind, [pk for pk, _ in shown]), behind)


def decided_ones(kind: str, user: Person, *, after: str = "", size: int = PAGE_SIZE) -> Found:
    """Items of a kind that somebody had the last word on, the newest item first. Otherwise as `open_ones`."""
    page = find(Filters(kind=kind, final=Source.ADJUDICATED), after=after, size=size, user=user)
    return Found(_loaded(kind, page.items), page.after)


def kept_back(kind: str, user: Person) -> int:
    """How many disputed items the person is not told of, at most MOST + 1. One query at most."""
    kept = kept_from(user, kind)
    if kept is None:
        return 0
    facts = TABLES[kind]._default_manager.filter(pk__in=kept)
    split = facts.filter(Q(agreement__isnull=False) | Q(facets__contains=[ADJUDICATED]))
    return len(split.values_list("pk")[: MOST + 1])


def disputed(item: AILabel | TraceStep) -> Disputed | None:
    """One item as it is disputed; None when nobody has judged it or all agree. Two queries."""
    audits = list(item.audits.select_related("auditor").order_by("created_at", "pk"))
    return _one(item, audits, list(item.adjudications.select_related("adjudicator").order_by("created_at", "pk")))


def agreement_of(said: Iterable[Audit]) -> float:
    """The share of pairs of people that say the same; 1 for fewer than two people."""
    counts = Counter(verdicts.outcome_of(one) for one in said)
    people = counts.total()
    return sum(n * (n - 1) for n in counts.values()) / (people * (people - 1)) if people > 1 else 1.0


def _facts_of(kind: str, user: Person) -> QuerySet[Any]:
    facts = TABLES[kind]._default_manager.all()
    kept = kept_from(user, kind)
    return facts if kept is None else facts.exclude(pk__in=kept)


def _loaded(kind: str, ids: Sequence[int]) -> list[Disputed]:
    """The items with what was said of them, in the order of their keys. Three queries."""
    items: dict[int, Any] = _ROWS[kind]().in_bulk(ids)
    audits = Audit.objects.filter(**{f"{kind}__in": ids}).select_related("auditor")
    said = _grouped(audits.order_by(f"{kind}_id", "created_at", "pk"), kind)
    decided = Adjudication.objects.filter(**{f"{kind}__in": ids}).select_related("adjudicator")
    last = _grouped(decided.order_by(f"{kind}_id", "created_at", "pk"), kind)
    each = (_one(items[pk], said.get(pk, []), last.get(pk, [])) for pk in ids)
    return [one for one in each if one]


def _labels() -> QuerySet[AILabel]:
    labels = AILabel.objects.select_related("comparison", "run", "principle__version__constitution", "judge")
    return labels.defer("sent_ab", "sent_ba")


def _steps() -> QuerySet[TraceStep]:
    steps = TraceStep.objects.select_related("trace__prompt", "principle__version__constitution")
    return steps.defer("sent_critique", "sent_revision")


_ROWS: Mapping[str, Callable[[], QuerySet[Any]]] = {"label": _labels, "step": _steps}


def _place(text: str) -> tuple[float, int] | None:
    """A place of an address, "AGREEMENT~KEY"; None for what is none."""
    agreement, _, key = text.partition("~")
    try:
        place = float(agreement), int(key)
    except ValueError:
        return None
    return place if 0 <= place[0] <= 1 and 0 <= place[1] <= LARGEST else None


def _one(item: AILabel | TraceStep, audits: list[Audit], last: list[Adjudication]) -> Disputed | None:
    said = verdicts.standing(audits)
    final = verdicts.final_of(audits, last)
    if final is None or final.source is Source.UNANIMOUS:
        return None
    return Disputed(item, said, last, final, agreement_of(said))


def _grouped(rows: Iterable[Row], kind: str) -> dict[int, list[Row]]:
    return {pk: list(group) for pk, group in groupby(rows, key=lambda row: getattr(row, f"{kind}_id"))}
