"""What people said of each judged item, and what labels say of their principles, read row by row for a worker.

Each reader goes over its table once, with a server-side cursor, so that millions of rows need no more memory than what
is kept of them: a few counts, and one small value for every item that somebody judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, groupby
from typing import Any, NamedTuple

from django.db.models import Count

from constitutions_app.models import PrincipleVersion
from training_app import verdicts
from training_app.models import Adjudication, AILabel, Audit, Comparison, TraceStep
from training_app.numbers.scope import Scope

CHUNK = 5000
CHOICES = ("a", "b", "neither")
VERDICTS = ("agree", "override")


class Said(NamedTuple):
    """One standing verdict: enough of an audit to decide by (`verdicts.Vote`)."""

    auditor_id: int
    verdict: str
    choice: str
    at: datetime


@dataclass(frozen=True)
class Item:
    """One label or step that people judged. `ai`, `p_a` and `judge` are None for steps.

    Choices are places in `CHOICES` for labels and in `VERDICTS` for steps.
    """

    is_label: bool
    principle: int | None
    judge: int | None
    tags: tuple[str, ...]
    p_a: float | None
    ai: int | None
    said: tuple[Said, ...]
    chosen: tuple[int, ...]
    """What each person chose, in the order of `said`."""
    final: int | None
    overridden: bool


@dataclass
class Cited:
    """What the labels that cite one principle are like; counts."""

    labels: int = 0
    same_position: int = 0
    asked_neither: int = 0
    neither: int = 0
    steps: int = 0


@dataclass
class LabelCounts:
    """By principle, and for two principles on the same comparison by what each chose: (a, b or tie) twice."""

    cited: dict[int | None, Cited] = field(default_factory=lambda: defaultdict(Cited))
    together: dict[tuple[int, int], Counter[tuple[int, int]]] = field(default_factory=lambda: defaultdict(Counter))


def items_in(scope: Scope) -> Iterator[Item]:
    """Every label and step of the scope with a standing verdict. Two passes over the audits."""
    yield from _labels(scope)
    if scope.judge is None:
        yield from _steps(scope)


def label_counts(scope: Scope) -> LabelCounts:
    """One pass over the labels of the scope, and one grouped count of its steps. Auditor and days play no part."""
    found = LabelCounts()
    rows = AILabel.objects.filter(scope.labels()).order_by("comparison_id", "judge_id", "run_id", "principle_id")
    columns = ("comparison_id", "judge_id", "run_id", "principle_id", "p_a", "same_position", "p_neither")
    read = rows.values_list(*columns).iterator(chunk_size=CHUNK)
    for _, group in groupby(read, key=lambda row: row[:3]):
        judged = []
        for *_, principle, p_a, same, neither in group:
            one = found.cited[principle]
            one.labels += 1
            one.same_position += same
            if neither is not None:
                one.asked_neither += 1
                one.neither += neither > 0.5
            if principle is not None:
                judged.append((principle, _choice(p_a)))
        for (first, chose), (second, other) in combinations(judged, 2):
            found.together[first, second][chose, other] += 1
    if scope.judge is None:
        steps = TraceStep.objects.filter(scope.steps()).order_by().values_list("principle_id").annotate(n=Count("pk"))
        for principle, count in steps:
            found.cited[principle].steps = count
    return found


def human_choices(scope: Scope) -> dict[int, Counter[tuple[int, int]]]:
    """For each judge that labelled human comparisons: (its choice, the human choice) → labels."""
    rows = AILabel.objects.filter(scope.labels(), comparison__source=Comparison.Source.HUMAN).order_by()
    found: dict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
    for judge, p_a, human in rows.values_list("judge_id", "p_a", "comparison__human_choice").iterator(chunk_size=CHUNK):
        found[judge][_choice(p_a), CHOICES.index(human)] += 1
    return dict(found)


def never_cited(scope: Scope, cited: set[int | None]) -> list[PrincipleVersion]:
    """Enabled principles of the versions that runs of this scope used, which no label and no step cites."""
    used = AILabel.objects.filter(scope.labels()).order_by().values("run__version").distinct()
    rows = PrincipleVersion.objects.filter(version__in=used).exclude(pk__in=[one for one in cited if one is not None])
    rows = rows.select_related("version__constitution").order_by("version_id", "position")
    return [one for one in rows if one.body.get("enabled", True)]


def _last_words(field: str) -> dict[int, int]:
    """What was adjudicated, the newest decision on each item: places in `CHOICES` or `VERDICTS`."""
    rows = Adjudication.objects.filter(**{f"{field}__isnull": False}).order_by("created_at", "pk")
    return {
        item: CHOICES.index(choice) if choice else VERDICTS.index(verdict)
        for item, verdict, choice in rows.values_list(field, "verdict", "choice")
    }


def _majority(standing: Sequence[Said], chosen: Sequence[int]) -> int | None:
    decided = verdicts.deciding(standing)
    return None if decided is None else chosen[standing.index(decided)]


def _labels(scope: Scope) -> Iterator[Item]:
    last = _last_words("label_id")
    rows = Audit.objects.filter(scope.labels("label__"), scope.audits(), label__isnull=False)
    columns = (
        "label_id", "auditor_id", "verdict", "choice", "created_at", "label__principle_id", "label__judge_id",
        "label__p_a", "label__comparison__prompt__tags",
    )  # fmt: skip
    read = rows.order_by("label_id", "created_at", "pk").values_list(*columns).iterator(chunk_size=CHUNK)
    for _, group in groupby(read, key=lambda row: row[0]):
        given = list(group)
        principle, judge, p_a, tags = given[0][5:]
        standing = verdicts.standing([Said(*row[1:5]) for row in given])
        if not standing:
            continue
        ai = _choice(p_a)
        chosen = tuple(CHOICES.index(one.choice) if one.verdict == "override" else ai for one in standing)
        final = last.get(given[0][0], _majority(standing, chosen))
        yield Item(True, principle, judge, tuple(tags or ()), p_a, ai, tuple(standing), chosen, final, final != ai)


def _steps(scope: Scope) -> Iterator[Item]:
    last = _last_words("step_id")
    rows = Audit.objects.filter(scope.steps("step__"), scope.audits(), step__isnull=False)
    columns: tuple[Any, ...] = (
        "step_id", "auditor_id", "verdict", "choice", "created_at", "step__principle_id", "step__trace__prompt__tags",
    )  # fmt: skip
    read = rows.order_by("step_id", "created_at", "pk").values_list(*columns).iterator(chunk_size=CHUNK)
    for _, group in groupby(read, key=lambda row: row[0]):
        given = list(group)
        principle, tags = given[0][5:]
        standing = verdicts.standing([Said(*row[1:5]) for row in given])
        if not standing:
            continue
        chosen = tuple(VERDICTS.index(one.verdict) for one in standing)
        final = last.get(given[0][0], _majority(standing, chosen))
        yield Item(False, principle, None, tuple(tags or ()), None, None, tuple(standing), chosen, final, final == 1)


def _choice(p_a: float) -> int:
    """The judge's choice as a place in `CHOICES`; a tie is neither."""
    return 0 if p_a > 0.5 else 1 if p_a < 0.5 else 2


def principle_names(ids: Sequence[int]) -> dict[int, PrincipleVersion]:
    """Principles at their versions by primary key. One query."""
    return PrincipleVersion.objects.select_related("version__constitution").in_bulk(ids)
