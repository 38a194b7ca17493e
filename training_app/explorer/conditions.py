"""What a question means in the tables of facts: the tokens that must all be there, and those of which one must be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

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
    every = tuple(one(value) for name, one in _ONE.items() if (value := getattr(asked, name)) not in (None, ""))
    some: list[tuple[int, ...]] = []
    if asked.imported:  # who gave verdicts elsewhere has an account that begins so, and nobody else has one
        outside = User.objects.filter(username__startswith=OUTSIDE).values_list("pk", flat=True)
        some.append(_tokens(Fact.AUDITOR, outside))
    if asked.constitution:
        versions = Version.objects.filter(constitution__slug=asked.constitution).values_list("pk", flat=True)
        some.append(_tokens(Fact.VERSION, versions))
    if asked.key:
        some += _cited([asked.key])
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
        every=every,
        some=tuple(some),
        no=changed if asked.stale == "current" else (),
        p_from=p_from,
        p_to=p_to,
        since=_midnight(asked.since) if asked.since else None,
        before=_midnight(asked.until, 1) if asked.until else None,
    )


def conditions_for_each(asked: Filters, name: str, values: Sequence[Any]) -> list[Conditions]:
    """The question with each of these values of one filter. One query more than without it where keys are looked up.

    Raises KeyError for a filter that is neither a single fact nor a principle's key.
    """
    base = conditions_of(asked.without(name))
    if name == "key":
        return [replace(base, some=(*base.some, tokens)) for tokens in _cited(values)]
    return [replace(base, every=(*base.every, _ONE[name](value))) for value in values]


_ONE: Mapping[str, Callable[[Any], int]] = {
    **{
        name: partial(token, fact)
        for name, fact in (
            ("version", Fact.VERSION), ("principle", Fact.PRINCIPLE), ("judge", Fact.JUDGE), ("run", Fact.RUN),
            ("file", Fact.IMPORT), ("prompt_set", Fact.PROMPT_SET), ("auditor", Fact.AUDITOR),
        )
    },
    **{
        name: partial(of_text, fact) for name, fact in (("tag", Fact.TAG), ("flag", Fact.FLAG), ("reason", Fact.REASON))
    },
    "state": lambda one: token(Fact.STATE, STATES.index(one)),
    "final": lambda one: token(Fact.FINAL, FINALS.index(one)),
    "verdict": lambda one: token(Fact.VERDICT, VERDICTS.index(one)),
    "source": lambda one: token(Fact.SOURCE, SOURCES.index(one)),
    "about": lambda one: token(Fact.ABOUT, ABOUT.index(one)),
    "orders": lambda one: token(Fact.SAME_POSITION, int(one == "same")),
    "commented": lambda _: token(Fact.COMMENTED),
}  # fmt: skip
"""The filters that ask for one fact, and which."""


def _cited(keys: Sequence[str]) -> list[tuple[int, ...]]:
    """For each stable id the tokens of its principles, at whichever version. One query."""
    found: dict[str, list[int]] = {key: [] for key in keys}
    for key, pk in PrincipleVersion.objects.filter(key__in=keys).values_list("key", "pk"):
        found[key].append(pk)
    return [_tokens(Fact.PRINCIPLE, found[key]) for key in keys]


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
