"""Items on which people disagree, the widest disagreement first, and what each comes to.

An item is found when two standing verdicts on it say different things; the explorer's facts say which those are. Its
agreement is the raw agreement of the people who judged it: the share of pairs of them that say the same, 0 when nobody
agrees with anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from django.db.models import QuerySet

from training_app import verdicts
from training_app.explorer.tokens import STATES, Fact, token
from training_app.models import Adjudication, AILabel, Audit, LabelFacts, StepFacts, TraceStep
from training_app.verdicts import Final, Source

Row = TypeVar("Row", Audit, Adjudication)

MOST = 200
"""Disputed items of a kind that are looked at, those with the newest verdicts first."""


@dataclass(frozen=True)
class Disputed:
    """One item with its standing verdicts, oldest first, and what they come to. `agreement` in [0, 1)."""

    item: AILabel | TraceStep
    said: Sequence[Audit]
    adjudications: Sequence[Adjudication]
    final: Final
    agreement: float

    @property
    def is_open(self) -> bool:
        return self.final.source is Source.UNRESOLVED


def disputed_labels() -> list[Disputed]:
    """AI labels on which people disagree, lowest agreement first. Four queries."""
    labels = AILabel.objects.select_related("comparison", "run", "principle__version__constitution", "judge")
    return _disputed("label", labels.defer("sent_ab", "sent_ba"))


def disputed_steps() -> list[Disputed]:
    """Steps on which people disagree, lowest agreement first. Four queries."""
    steps = TraceStep.objects.select_related("trace__prompt", "principle__version__constitution")
    return _disputed("step", steps.defer("sent_critique", "sent_revision"))


def disputed(item: AILabel | TraceStep) -> Disputed | None:
    """One item as it is disputed; None when nobody has judged it or all agree. Two queries."""
    audits = list(item.audits.select_related("auditor").order_by("created_at", "pk"))
    return _one(item, audits, list(item.adjudications.select_related("adjudicator").order_by("created_at", "pk")))


def agreement_of(said: Iterable[Audit]) -> float:
    """The share of pairs of people that say the same; 1 for fewer than two people."""
    counts = Counter(verdicts.outcome_of(one) for one in said)
    people = counts.total()
    return sum(n * (n - 1) for n in counts.values()) / (people * (people - 1)) if people > 1 else 1.0


def _disputed(kind: str, rows: QuerySet[AILabel] | QuerySet[TraceStep]) -> list[Disputed]:
    facts: type[LabelFacts] | type[StepFacts] = LabelFacts if kind == "label" else StepFacts
    found = facts._default_manager.filter(facets__contains=[token(Fact.STATE, STATES.index("disputed"))])
    ids = list(found.order_by("-audited_at", f"-{kind}_id").values_list(f"{kind}_id", flat=True)[:MOST])
    items = rows.in_bulk(ids)
    audits = Audit.objects.filter(**{f"{kind}__in": ids}).select_related("auditor")
    said = _grouped(audits.order_by(f"{kind}_id", "created_at", "pk"), kind)
    decided = Adjudication.objects.filter(**{f"{kind}__in": ids}).select_related("adjudicator")
    last = _grouped(decided.order_by(f"{kind}_id", "created_at", "pk"), kind)
    each = (_one(items[pk], said.get(pk, []), last.get(pk, [])) for pk in ids)
    return sorted((one for one in each if one), key=lambda one: (not one.is_open, one.agreement, -one.item.pk))


def _one(item: AILabel | TraceStep, audits: list[Audit], last: list[Adjudication]) -> Disputed | None:
    said = verdicts.standing(audits)
    final = verdicts.final_of(audits, last)
    if final is None or len({verdicts.outcome_of(one) for one in said}) < 2:
        return None
    return Disputed(item, said, last, final, agreement_of(said))


def _grouped(rows: Iterable[Row], kind: str) -> dict[int, list[Row]]:
    return {pk: list(group) for pk, group in groupby(rows, key=lambda row: getattr(row, f"{kind}_id"))}
