"""Which items fit a question: the query set that queues, statistics and exports build on.

Pages walk the same conditions by blocks (walk.py), because the database's planner guesses wrong where few rows among
millions fit; here it is left to choose.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import Model, Q, QuerySet

from constitutions_app.composed import Later
from training_app.access import Person
from training_app.explorer import similar
from training_app.explorer.blindness import kept_from
from training_app.explorer.conditions import Conditions, conditions_of
from training_app.explorer.filters import Filters
from training_app.models import AILabel, Audit, Comparison, TraceStep
from training_app.models.facts import CONFIG

MODELS: dict[str, type[Model]] = {"label": AILabel, "comparison": Comparison, "step": TraceStep, "audit": Audit}
WORDS_OF = {"label": "comparison__facts__words"}
"""Where the words of a kind stand, if not in its own facts."""


def matching(filters: Filters, user: Person, *, telling: bool = False) -> QuerySet[Any]:
    """The items that fit, as `AILabel`, `TraceStep`, `Comparison` or `Audit` rows, in no particular order.

    Where the question tells what the AI or a peer chose, or the caller does (`telling`), items that the person has yet
    to judge blind are left out.
    A constant number of small queries before the one that is returned.
    """
    rows = fitting(filters)
    return _seen_by(user, rows, filters.kind) if telling or filters.reveals_judgement else rows


def fitting(filters: Filters) -> QuerySet[Any]:
    """The same for nobody in particular: whoever shows these rows leaves out what is kept from the person."""
    rows = MODELS[filters.kind]._default_manager.all()
    asked = conditions_of(filters)
    if not asked.is_empty:
        rows = rows.filter(_condition(asked))
    if filters.like is not None:
        rows = rows.filter(pk__in=similar.like(filters.kind, filters.like))
    if filters.text:
        rows = rows.filter(**{WORDS_OF.get(filters.kind, "facts__words"): question(filters.text)})
    return rows


def question(text: str | Later) -> SearchQuery:
    """What people type into search engines, as PostgreSQL reads it."""
    return SearchQuery(text, config=CONFIG, search_type="websearch")


def _condition(asked: Conditions) -> Q:
    condition = Q()
    if asked.every:
        condition &= Q(facts__facets__contains=list(asked.every))
    for group in asked.some:
        condition &= Q(facts__facets__overlap=list(group))
    if asked.no:
        condition &= ~Q(facts__facets__overlap=list(asked.no))
    exact = {"facts__p_a__gte": asked.p_from, "facts__p_a__lte": asked.p_to,
             "created_at__gte": asked.since, "created_at__lt": asked.before}  # fmt: skip
    return condition & Q(**{name: value for name, value in exact.items() if value is not None})


def _seen_by(user: Person, rows: QuerySet[Any], kind: str) -> QuerySet[Any]:
    """Without what is kept from the person; of audits, without those of items that are."""
    for item in ("label", "step", "comparison"):
        kept = kept_from(user, item) if kind == item or (kind == "audit" and item != "comparison") else None
        if kept is not None and kind == "audit":
            rows = rows.exclude(**{f"{item}__isnull": False, f"{item}__in": kept})
        elif kept is not None:
            rows = rows.exclude(pk__in=kept)
    return rows
