"""What a question means in the tables of facts: the tokens that must all be there, and those of which one must be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.contrib.auth.models import User
from django.db import models

from constitutions_app.access import OUTSIDE
from constitutions_app.models import PrincipleVersion, Version
from training_app import stale
from training_app.explorer.filters import Filters
from training_app.explorer.tokens import (
    ABOUT,
    FINALS,
    SOURCES,
    STATES,
    VERDICTS,
    Fact,
    cover_p,
    of_text,
    thousandth,
    token,
)
from training_app.models import AuditFacts, Checkpoint, ComparisonFacts, LabelFacts, StepFacts

NOTHING = token(Fact.VERSION, 0)
"""A token that no row has: what names something that is not there finds nothing."""

TABLES: dict[str, type[models.Model]] = {
    "label": LabelFacts, "comparison": ComparisonFacts, "step": StepFacts, "audit": AuditFacts,
}  # fmt: skip


@dataclass(frozen=True)
class Conditions:
    """`every`: tokens a row must have; `some`: groups of tokens of each of which it has one; `no`: tokens it has not.

    `p_from` and `p_to` are exact and belong to groups in `some`. `since` (included) and `before` (not) are times.
    """

    every: tuple[int, ...] = ()
    some: tuple[tuple[int, ...], ...] = ()
    no: tuple[int, ...] = ()
    p_from: float | None = None
    p_to: float | None = None
    since: datetime | None = None
    before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return self == Conditions()


def conditions_of(asked: Filters) -> Conditions:
    """What is asked, without full text and likeness. A query for each name that must be looked up, none for numbers."""
    every: list[int] = []
    some: list[tuple[int, ...]] = []
    numbers = ((Fact.VERSION, asked.version), (Fact.PRINCIPLE, asked.principle), (Fact.JUDGE, asked.judge),
               (Fact.RUN, asked.run), (Fact.IMPORT, asked.file), (Fact.PROMPT_SET, asked.prompt_set),
               (Fact.AUDITOR, asked.auditor))  # fmt: skip
    every += [token(fact, value) for fact, value in numbers if value is not None]
    texts = ((Fact.TAG, asked.tag), (Fact.FLAG, asked.flag), (Fact.REASON, asked.reason))
    every += [of_text(fact, value) for fact, value in texts if value]
    listed = ((Fact.STATE, STATES, asked.state), (Fact.FINAL, FINALS, asked.final),
              (Fact.VERDICT, VERDICTS, asked.verdict), (Fact.SOURCE, SOURCES, asked.source),
              (Fact.ABOUT, ABOUT, asked.about))  # fmt: skip
    every += [token(fact, values.index(value)) for fact, values, value in listed if value]
    if asked.orders:
        every.append(token(Fact.SAME_POSITION, int(asked.orders == "same")))
    if asked.commented:
        every.append(token(Fact.COMMENTED))
    if asked.imported:  # who gave verdicts elsewhere has an account that begins so, and nobody else has one
        outside = User.objects.filter(username__startswith=OUTSIDE).values_list("pk", flat=True)
        some.append(_tokens(Fact.AUDITOR, outside))
    if asked.constitution:
        versions = Version.objects.filter(constitution__slug=asked.constitution).values_list("pk", flat=True)
        some.append(_tokens(Fact.VERSION, versions))
    if asked.key:
        cited = PrincipleVersion.objects.filter(key=asked.key).values_list("pk", flat=True)
        some.append(_tokens(Fact.PRINCIPLE, cited))
    if asked.checkpoint is not None:
        made = Checkpoint.objects.filter(pk=asked.checkpoint).values_list("run__number", flat=True)
        some.append(_tokens(Fact.RUN, made))
    changed = _tokens(Fact.PRINCIPLE, stale.changed_principles()) if asked.stale else ()
    if asked.stale == "stale":
        some.append(changed)
    p_from, p_to = _likelihood(asked)
    if p_from is not None or p_to is not None:
        lowest, highest = thousandth(p_from or 0.0), thousandth(1.0 if p_to is None else p_to)
        some.append(tuple(cover_p(lowest, highest)) or (NOTHING,))
    return Conditions(
        every=tuple(every),
        some=tuple(some),
        no=changed if asked.stale == "current" else (),
        p_from=p_from,
        p_to=p_to,
        since=_midnight(asked.since) if asked.since else None,
        before=_midnight(asked.until, 1) if asked.until else None,
    )


def _tokens(fact: Fact, values: Iterable[int]) -> tuple[int, ...]:
    return tuple(token(fact, value) for value in values) or (NOTHING,)


def _likelihood(asked: Filters) -> tuple[float | None, float | None]:
    """The range of p(A) that the range and the distance from one half leave, None where open."""
    lows = [asked.p_from, None if asked.unsure is None else 0.5 - asked.unsure]
    highs = [asked.p_to, None if asked.unsure is None else 0.5 + asked.unsure]
    low = max((one for one in lows if one is not None), default=None)
    high = min((one for one in highs if one is not None), default=None)
    return low, high


def _midnight(day: date, later: int = 0) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(days=later)
