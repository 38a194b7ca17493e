"""The figures of one scope as plain data: what a worker computes and keeps, and what pages show.

Every figure is ``{"value", "interval", "n", "note", "more"}``: `note` says why something is missing, `more` is about
how many more items would make the interval ±0.1. Groups (principles, judges, tags, auditors, weeks) come largest first
and at most `MOST` of a kind.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import User

from constitutions_app.models import PrincipleVersion
from training_app.core.agreement import Agreement, agreement_among, agreement_between, more_needed, patterns_of
from training_app.core.calibration import Calibration, calibrate
from training_app.core.statistics import Estimate, Tested, difference, same_rate, wilson
from training_app.models import Judge, JudgeEvaluation
from training_app.numbers import gathering
from training_app.numbers.gathering import CHOICES, VERDICTS, Cited, Item, LabelCounts
from training_app.numbers.scope import Scope

Data = dict[str, Any]

MOST = 60
MOST_PAIRS = 200
FEWEST_TOGETHER = 20
"""Comparisons judged under both of two principles before they are called redundant."""
ALIKE = 0.8
"""Kappa of two principles from which on they say nearly the same."""
BAD_SHARE = 0.2
"""A principle has a bad record when surely more than this share of what people judged under it is overridden."""
DRIFT = timedelta(days=28)
SURELY = 0.05
"""A drift is spoken of where chance alone makes one as large less often than this."""
RESAMPLES = 1000


@dataclass
class Group:
    """Items that share a principle, judge, tag, person or week, as counts."""

    judged: int = 0
    overridden: int = 0
    with_judge: Counter[tuple[int, int]] = field(default_factory=Counter)
    among_labels: list[tuple[int, ...]] = field(default_factory=list)
    among_steps: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, item: Item) -> None:
        """Count one judged item."""
        if item.final is None:
            return
        self.judged += 1
        self.overridden += item.overridden
        if item.ai is not None:
            self.with_judge[item.ai, item.final] += 1
            self.among_labels.append(item.chosen)
        else:
            self.among_steps.append(item.chosen)

    def figures(self) -> Data:
        """Everything said of a group."""
        return {
            "judged": self.judged,
            "overridden": as_data(wilson(self.overridden, self.judged)),
            "judge": agreement_data(agreement_between(self.with_judge, len(CHOICES), resamples=RESAMPLES)),
            "people": agreement_data(
                agreement_among(patterns_of(self.among_labels, len(CHOICES)), resamples=RESAMPLES)
            ),
            "people_on_steps": agreement_data(
                agreement_among(patterns_of(self.among_steps, len(VERDICTS)), resamples=RESAMPLES)
            ),
        }


@dataclass
class _Gathered:
    """The judged items of a scope, grouped in one pass."""

    whole: Group = field(default_factory=Group)
    principles: dict[int | None, Group] = field(default_factory=lambda: defaultdict(Group))
    judges: dict[int, Group] = field(default_factory=lambda: defaultdict(Group))
    tags: dict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    auditors: dict[int, Counter[tuple[int, int]]] = field(default_factory=lambda: defaultdict(Counter))
    """Each person's choices against the judge's; for steps agree (0, 0) or override (0, 1)."""
    with_others: dict[int, Counter[tuple[int, int]]] = field(default_factory=lambda: defaultdict(Counter))
    verdicts: Counter[int] = field(default_factory=Counter)
    overrides: Counter[int] = field(default_factory=Counter)
    weeks: dict[date, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """Monday → verdicts given in that week that stand, and overrides among them."""
    p_a: list[float] = field(default_factory=list)
    chose_a: list[bool] = field(default_factory=list)
    days: list[tuple[date, bool]] = field(default_factory=list)

    def add(self, item: Item) -> None:
        self.whole.add(item)
        self.principles[item.principle].add(item)
        if item.judge is not None:
            self.judges[item.judge].add(item)
        for tag in item.tags:
            self.tags[tag].add(item)
        for said, chosen in zip(item.said, item.chosen, strict=True):
            overrides = said.verdict == "override"
            self.verdicts[said.auditor_id] += 1
            self.overrides[said.auditor_id] += overrides
            if item.ai is not None:
                self.auditors[said.auditor_id][item.ai, chosen] += 1
            day = said.at.date()
            week = self.weeks[day - timedelta(days=day.weekday())]
            week[0] += 1
            week[1] += overrides
            self.days.append((day, overrides))
            for other, theirs in zip(item.said, item.chosen, strict=True):
                if item.ai is not None and other.auditor_id != said.auditor_id:
                    self.with_others[said.auditor_id][chosen, theirs] += 1
        if item.p_a is not None and item.final in (0, 1):
            self.p_a.append(item.p_a)
            self.chose_a.append(item.final == 0)


def compute(scope: Scope) -> tuple[Data, int, float]:
    """The figures of a scope, how many standing verdicts they rest on, and the seconds it took."""
    start = time.perf_counter()
    found = _Gathered()
    for item in gathering.items_in(scope):
        found.add(item)
    counts = gathering.label_counts(scope)
    data: Data = {
        "whole": found.whole.figures(),
        "calibration": calibration_data(calibrate(found.p_a, found.chose_a)),
        "weeks": weeks_data(found.weeks),
        "drift": drift_data(found.days),
        "principles": _principles(found.principles, counts),
        "pairs": pairs_data(counts),
        "never_cited": [_name(one) for one in gathering.never_cited(scope, set(counts.cited))],
        "judges": _judges(scope, found.judges),
        "tags": [{"name": tag} | group.figures() for tag, group in _largest(found.tags)],
        "auditors": _auditors(found),
    }
    return data, found.verdicts.total(), time.perf_counter() - start


def as_data(estimate: Estimate) -> Data:
    """A figure as JSON holds it."""
    return {
        "value": estimate.value,
        "interval": estimate.interval_list(),
        "n": estimate.n,
        "note": estimate.note,
        "more": more_needed(estimate),
    }


def agreement_data(found: Agreement) -> Data:
    """All figures of one agreement, and how many items and ratings they rest on."""
    figures = {name: as_data(estimate) for name, estimate in found.figures.items()}
    return {"items": found.items, "ratings": found.ratings, **figures}


def calibration_data(found: Calibration) -> Data:
    """The curve and its two figures."""
    bins = [{"low": one.low, "high": one.high, "mean": one.mean, "chosen": as_data(one.chosen)} for one in found.bins]
    return {"bins": bins, "ece": as_data(found.ece), "brier": as_data(found.brier)}


def weeks_data(weeks: Mapping[date, Sequence[int]]) -> list[Data]:
    """The override rate by week, oldest first."""
    return [
        {"week": week.isoformat(), "verdicts": given, "overridden": as_data(wilson(overrides, given))}
        for week, (given, overrides) in sorted(weeks.items())[-MOST:]
    ]


def drift_data(days: Sequence[tuple[date, bool]]) -> Data:
    """The override rate of the newest four weeks minus that of all before: a figure, its parts, a test, and words."""
    newer, older = _parts(days)
    rates = wilson(sum(newer), len(newer)), wilson(sum(older), len(older))
    tested = same_rate(sum(newer), len(newer), sum(older), len(older))
    undefined = "" if older else "all verdicts are of the last four weeks; there is nothing to compare"
    undefined = undefined if newer else "there is no verdict yet"
    found = Estimate(None, None, len(newer), undefined) if undefined else difference(*rates)
    return as_data(found) | {
        "newer": as_data(rates[0]), "older": as_data(rates[1]), "p": tested.p,
        "words": _drift_in_words(found, rates, tested),
    }  # fmt: skip


def _parts(days: Sequence[tuple[date, bool]]) -> tuple[list[bool], list[bool]]:
    """Verdicts of the newest four weeks that there are any of, and those before: whether each overrides."""
    border = max((day for day, _ in days), default=date.min + DRIFT) - DRIFT
    return [overrides for day, overrides in days if day > border], [one for day, one in days if day <= border]


def _drift_in_words(found: Estimate, rates: tuple[Estimate, Estimate], tested: Tested) -> str:
    newer, older = rates
    if found.value is None or newer.value is None or older.value is None:
        return f"Whether it drifted cannot be said: {found.note}."
    now = f"{newer.value:.1%} of {newer.n:,} verdicts of the newest four weeks"
    shares = f"{now}, {older.value:.1%} of {older.n:,} before"
    if tested.p is None:
        return f"Whether it drifted cannot be tested: {tested.note}. Overridden: {shares}."
    chance = "p < 0.001" if tested.p < 0.001 else f"p = {tested.p:.3f}"
    if tested.p >= SURELY:
        return f"No drift can be told from chance ({chance}). Overridden: {shares}."
    return f"It drifted {'up' if found.value > 0 else 'down'} ({chance}). Overridden: {shares}."


def pairs_data(counts: LabelCounts) -> list[Data]:
    """Two principles on the same comparisons: how often they choose differently, and kappa between them."""
    largest = sorted(counts.together.items(), key=lambda pair: (-pair[1].total(), pair[0]))[:MOST_PAIRS]
    names = gathering.principle_names([one for pair, _ in largest for one in pair])
    found = []
    for (one, other), chosen in largest:
        total = chosen.total()
        kappa = agreement_between(chosen, len(CHOICES), resamples=RESAMPLES).figures["cohen"]
        opposed = chosen[0, 1] + chosen[1, 0]
        alike = total >= FEWEST_TOGETHER and kappa.value is not None and kappa.value >= ALIKE
        pair: Data = {"one": _name(names[one]), "other": _name(names[other]), "n": total, "alike": alike}
        found.append(pair | {"opposed": as_data(wilson(opposed, total)), "kappa": as_data(kappa)})
    return found


def _principles(judged: Mapping[int | None, Group], counts: LabelCounts) -> list[Data]:
    keys = sorted({*judged, *counts.cited}, key=lambda key: -(counts.cited[key].labels + counts.cited[key].steps))[
        :MOST
    ]
    names = gathering.principle_names([key for key in keys if key is not None])
    rows = []
    for key in keys:
        cited, figures = counts.cited[key], judged.get(key, Group()).figures()
        name = _name(names[key]) if key is not None else {"pk": None, "title": "All principles at once"}
        rows.append(name | _cited(cited) | figures | {"bad": is_bad(figures)})
    return rows


def is_bad(figures: Data) -> bool:
    """Whether people surely override more than one in five of the items judged under a principle."""
    interval = figures["overridden"]["interval"]
    return interval is not None and interval[0] > BAD_SHARE


def _cited(one: Cited) -> Data:
    return {
        "labels": one.labels,
        "steps": one.steps,
        "same_position": as_data(wilson(one.same_position, one.labels)),
        "irrelevant": as_data(
            wilson(one.neither, one.asked_neither) if one.asked_neither else Estimate(None, None, 0, "not offered")
        ),
    }


def _judges(scope: Scope, groups: Mapping[int, Group]) -> list[Data]:
    """Each judge against the people here, against human comparisons it labelled, and as it was measured."""
    human = gathering.human_choices(scope)
    measured: dict[int, list[JudgeEvaluation]] = defaultdict(list)
    done = JudgeEvaluation.objects.filter(state=JudgeEvaluation.State.SUCCEEDED)
    done = done.filter(judge=scope.judge) if scope.judge else done
    for one in done.order_by("-created_at")[:MOST]:
        measured[one.judge_id or 0].append(one)
    keys = sorted({*groups, *human, *(() if scope.of(judge=None, blind=False).asked else measured)})
    names = Judge.objects.in_bulk(keys)
    return [
        {"pk": key, "name": str(names[key]), "digest": names[key].digest}
        | groups.get(key, Group()).figures()
        | {
            "human": agreement_data(agreement_between(human.get(key, Counter()), len(CHOICES), resamples=RESAMPLES)),
            "measured": [_measured(one) for one in measured[key]],
        }
        for key in keys
    ]


def _measured(one: JudgeEvaluation) -> Data:
    report = one.report
    right = Estimate(report["accuracy"], tuple(report["interval"]) if report["interval"] else None, report["n"])
    return {
        "id": str(one.pk), "file": one.file_name, "format": one.format, "right": as_data(right),
        "ece": report.get("ece"), "brier": report.get("brier"),
    }  # fmt: skip


def _auditors(found: _Gathered) -> list[Data]:
    keys = [key for key, _ in found.verdicts.most_common(MOST)]
    people = User.objects.in_bulk(keys)
    return [
        {
            "pk": key,
            "name": people[key].get_full_name() or people[key].get_username(),
            "verdicts": found.verdicts[key],
            "overrides": as_data(wilson(found.overrides[key], found.verdicts[key])),
            "judge": agreement_data(agreement_between(found.auditors[key], len(CHOICES), resamples=RESAMPLES)),
            "others": agreement_data(agreement_between(found.with_others[key], len(CHOICES), resamples=RESAMPLES)),
        }
        for key in keys
    ]


def _largest(groups: Mapping[str, Group]) -> Iterable[tuple[str, Group]]:
    return sorted(groups.items(), key=lambda pair: (-pair[1].judged, pair[0]))[:MOST]


def _name(one: PrincipleVersion) -> Data:
    constitution = one.version.constitution
    return {
        "pk": one.pk, "key": one.key, "title": one.title or one.key, "slug": constitution.slug,
        "constitution": constitution.name, "number": one.version.number,
    }  # fmt: skip
