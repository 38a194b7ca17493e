"""Compared runs, read: what each arm measured on the held-out prompts, and how far the arms differ from one another.

Values come from the answers of the stage `evaluate`, one per run, model and prompt. A new quantity is an entry of
`METRICS`: a function of one answer; the countable features that answers carry are added by their names. Two queries,
however many runs and prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

from training_app.core.expected import Expectation, Hypothesis, Outcome, hypotheses, outcomes
from training_app.core.features import BUILT_IN
from training_app.core.paired import Paired, Verdict, crossed_mean, paired_difference, verdicts
from training_app.measured import MODEL_NAMES
from training_app.models import EvaluationAnswer, Run, RunGroup

Metric = Callable[[EvaluationAnswer], float | None]
"""One answer → a number, or None where it has none."""

Answers = Sequence[tuple[str, int, EvaluationAnswer]]
"""Arm, seed, and one answer of a run of theirs."""

Measured = Mapping[str, Mapping[tuple[int, int], float]]
"""Arm → (prompt, seed) → what one metric says of the answer there."""

METRICS: Mapping[str, tuple[str, Metric]] = {
    "reward": ("Reward", lambda answer: answer.reward),
    "words": ("Words", lambda answer: float(answer.words)),
    "evasive": ("Evasive", lambda answer: float(answer.evasive)),
    "boilerplate": ("Boilerplate", lambda answer: float(answer.boilerplate)),
}
"""Slug → (name, what it says of one answer)."""

OWN_SCALE = "Every run has a reward model of its own, on its own scale."
SCALED_BY_RUN = frozenset({"reward"})
"""Metrics whose scale is each run's own, so that arms cannot be held against each other in them."""

AMOUNTS = frozenset({"reward", "words"})
"""Metrics that say how much; every other one says whether an answer has something, so that its mean is a share."""

BASE = "base"
BASE_MODEL = "the base model"
"""How what the arms began as is called beside them."""

MOST_PAIRED = 4
"""Arms up to which every two are held against each other; more of them against the first alone."""


@dataclass(frozen=True)
class Side:
    """One side of a pair: its name, and what it measured in each metric that both have on one scale."""

    name: str
    values: Mapping[str, Mapping[tuple[int, int], float]]


@dataclass(frozen=True)
class MetricRow:
    """One metric: means with intervals over prompts, of the base model where it was measured, then arm by arm."""

    name: str
    values: tuple[Paired, ...]
    counts: bool
    """Whether the means are shares of the answers."""
    columns: tuple[str, ...]
    note: str = ""

    @property
    def is_measured(self) -> bool:
        return any(value.value is not None for value in self.values)

    @property
    def by_column(self) -> list[tuple[str, Paired]]:
        """Each value beside the name of its column."""
        return list(zip(self.columns, self.values, strict=True))


@dataclass(frozen=True)
class Bar:
    """An interval as percentages of the line it is drawn on."""

    low: int
    mid: int
    high: int


def bar_of(difference: Paired, *, counts: bool) -> Bar | None:
    """The difference of two shares between -1 and 1; None where it is none, or has no interval."""
    if not counts or difference.value is None or difference.over_both is None:
        return None
    low, high = difference.over_both
    return Bar(*(round(50 + 50 * min(max(one, -1.0), 1.0)) for one in (low, difference.value, high)))


@dataclass(frozen=True)
class MetricDifference:
    """Two arms in one metric."""

    name: str
    counts: bool
    difference: Paired
    verdict: Verdict

    @property
    def is_alike(self) -> bool:
        """Whether both sides measured the same everywhere, with more than one seed."""
        return self.difference.over_both == (0.0, 0.0)

    @property
    def bar(self) -> Bar | None:
        return bar_of(self.difference, counts=self.counts)


@dataclass(frozen=True)
class ExpectedRow:
    """One comparison that was named before the launch, its metric by its name, and what came of it."""

    name: str
    named: Hypothesis
    counts: bool
    difference: Paired
    outcome: Outcome

    @property
    def is_placebo(self) -> bool:
        return self.named.sign == 0

    @property
    def bar(self) -> Bar | None:
        return bar_of(self.difference, counts=self.counts)


@dataclass(frozen=True)
class PairPart:
    """Two arms in every metric that they share a scale in: `ours` less `theirs`. Without those named beforehand."""

    ours: str
    theirs: str
    rows: tuple[MetricDifference, ...]
    named_before: tuple[str, ...] = ()
    """Metrics in which these two were to differ, or not to: they stand by themselves (`ModelPart.expected`)."""

    def named(self, verdict: Verdict) -> list[str]:
        """The metrics that come to this verdict."""
        return [row.name for row in self.rows if row.verdict is verdict]

    @property
    def higher(self) -> list[str]:
        return self.named(Verdict.HIGHER)

    @property
    def lower(self) -> list[str]:
        return self.named(Verdict.LOWER)

    @property
    def doubtful(self) -> list[str]:
        """The metrics that differ if each is looked at alone, and do not among so many."""
        return self.named(Verdict.CHANCE)

    @property
    def alike(self) -> list[str]:
        """The metrics that say the same of both wherever they were measured."""
        return [row.name for row in self.rows if row.is_alike]

    @property
    def told(self) -> list[MetricDifference]:
        """The metrics that there is something to say about."""
        return [row for row in self.rows if not row.is_alike]

    @property
    def with_base(self) -> bool:
        return self.theirs == BASE_MODEL

    @property
    def is_told(self) -> bool:
        """Whether any figure could be judged at all."""
        return any(row.verdict is not Verdict.UNTOLD for row in self.rows)


@dataclass(frozen=True)
class ModelPart:
    """One model (SL-CAI, RL-CAI …): every metric by arm, and every pair of arms."""

    model: str
    columns: tuple[str, ...]
    """What the values of `rows` are of."""
    rows: tuple[MetricRow, ...]
    expected: tuple[ExpectedRow, ...]
    """The comparisons that were named before the launch."""
    pairs: tuple[PairPart, ...]
    """Arms against arms, then each arm against the base model, in what was not named."""

    def came(self, *, placebo: bool, well: bool) -> int:
        """How many that were to differ (or not to) came as expected, or did not."""
        good = (Outcome.HOLDS, Outcome.ALIKE)
        return sum(row.is_placebo == placebo and (row.outcome in good) == well for row in self.expected)

    @property
    def differing(self) -> int:
        """Comparisons that were to differ."""
        return sum(not row.is_placebo for row in self.expected)

    @property
    def alike(self) -> int:
        """Comparisons that were to show no difference."""
        return len(self.expected) - self.differing

    @property
    def differing_came(self) -> int:
        return self.came(placebo=False, well=True)

    @property
    def alike_came(self) -> int:
        return self.came(placebo=True, well=True)


def runs_of(group: RunGroup) -> list[Run]:
    """The group's runs by seed, then in the order of the arms. One query."""
    place = {arm: number for number, arm in enumerate(group.arms)}
    return sorted(Run.objects.filter(group=group), key=lambda run: (run.seed, place.get(run.arm, len(place))))


def compared(group: RunGroup, runs: Sequence[Run]) -> tuple[ModelPart, ...]:
    """Every model that the group's runs made, in every metric, by arm and pair by pair. One query."""
    of_run = {run.pk: (run.arm, run.seed) for run in runs}
    answers: dict[str, list[tuple[str, int, EvaluationAnswer]]] = {}
    for answer in EvaluationAnswer.objects.filter(run__in=of_run).defer("text").order_by("pk"):
        arm, seed = of_run[answer.run_id]
        if arm in group.arms:
            answers.setdefault(answer.model, []).append((arm, seed, answer))
    base = answers.pop(BASE, [])
    said = [Expectation(**one) for one in group.expects]
    return tuple(_part(model, group.arms, said, answers[model], base) for model in MODEL_NAMES if model in answers)


def _part(model: str, arms: Sequence[str], said: Sequence[Expectation], answers: Answers, base: Answers) -> ModelPart:
    metrics = metrics_of(answer for *_, answer in answers)
    ours = {slug: _measured(metric, arms, answers) for slug, (_, metric) in metrics.items()}
    begun = {slug: _measured(metric, arms, base) for slug, (_, metric) in metrics.items()}
    columns = (*([BASE_MODEL] if base else []), *arms)
    rows = tuple(
        MetricRow(
            name,
            tuple(crossed_mean(one) for one in ([_of_any(begun[slug])] if base else []) + [*ours[slug].values()]),
            slug not in AMOUNTS,
            columns,
            OWN_SCALE if slug in SCALED_BY_RUN else "",
        )
        for slug, (name, _) in metrics.items()
    )
    shared = [slug for slug in metrics if slug not in SCALED_BY_RUN]
    named = hypotheses(said, pairs_of(arms))

    def pair(ours: Side, theirs: Side) -> PairPart:
        told = {_slug(one.feature) for one in named if (one.ours, one.theirs) == (ours.name, theirs.name)}
        part = _pair(metrics, [slug for slug in shared if slug not in told], ours, theirs)
        return replace(part, named_before=tuple(metrics[slug][0] for slug in shared if slug in told))

    sides = {arm: Side(arm, {slug: ours[slug][arm] for slug in shared}) for arm in arms}
    pairs = [pair(sides[arm], sides[other]) for other, arm in pairs_of(arms)]
    if base:
        at_first = {arm: {slug: begun[slug][arm] for slug in shared} for arm in arms}
        pairs += [pair(sides[arm], Side(BASE_MODEL, at_first[arm])) for arm in arms]
    shown = tuple(row for row in rows if row.is_measured)
    return ModelPart(model, columns, shown, _expected(metrics, named, sides), tuple(pairs))


def _slug(feature: str) -> str:
    """Under which slug something that can be named is measured."""
    return feature if feature in METRICS else f"feature {feature}"


def _expected(
    metrics: Mapping[str, tuple[str, Metric]], named: Sequence[Hypothesis], sides: Mapping[str, Side]
) -> tuple[ExpectedRow, ...]:
    """Every comparison that was named, with what came of it; one that nobody measured is there as well."""
    differences = [
        paired_difference(*(sides[arm].values.get(_slug(one.feature), {}) for arm in (one.ours, one.theirs)))
        for one in named
    ]
    judged = zip(named, differences, outcomes(list(zip(named, differences, strict=True))), strict=True)
    return tuple(
        ExpectedRow(_name(metrics, one.feature), one, _slug(one.feature) not in AMOUNTS, difference, outcome)
        for one, difference, outcome in judged
    )


def _name(metrics: Mapping[str, tuple[str, Metric]], feature: str) -> str:
    return metrics[slug][0] if (slug := _slug(feature)) in metrics else feature.replace("_", " ").capitalize()


def _of_any(measured: Measured) -> dict[tuple[int, int], float]:
    """What the runs of all arms measured of the one model they began as."""
    return {cell: value for of_arm in measured.values() for cell, value in of_arm.items()}


def metrics_of(answers: Iterable[EvaluationAnswer]) -> dict[str, tuple[str, Metric]]:
    """METRICS, and every countable feature that the answers carry: the built-in ones first, then by name."""
    carried = {name for answer in answers for name in answer.features}
    names = [*(name for name in BUILT_IN if name in carried), *sorted(carried - BUILT_IN.keys())]
    features = {f"feature {name}": (name.replace("_", " ").capitalize(), partial(_has, name)) for name in names}
    return {**METRICS, **features}


def _has(name: str, answer: EvaluationAnswer) -> float | None:
    return float(answer.features[name]) if name in answer.features else None


def pairs_of(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Which two are held against each other, the earlier one first: all of them, or each against the first."""
    if len(arms) <= MOST_PAIRED:
        return list(combinations(arms, 2))
    return [(arms[0], arm) for arm in arms[1:]]


def _measured(metric: Metric, arms: Sequence[str], answers: Answers) -> Measured:
    found: dict[str, dict[tuple[int, int], float]] = {arm: {} for arm in arms}
    for arm, seed, answer in answers:
        if (value := metric(answer)) is not None:
            found[arm][answer.prompt_id, seed] = value
    return found


def _pair(metrics: Mapping[str, tuple[str, Metric]], slugs: Sequence[str], ours: Side, theirs: Side) -> PairPart:
    differences = [paired_difference(ours.values[slug], theirs.values[slug]) for slug in slugs]
    judged = zip(slugs, differences, verdicts(differences), strict=True)
    rows = tuple(
        MetricDifference(metrics[slug][0], slug not in AMOUNTS, difference, verdict)
        for slug, difference, verdict in judged
    )
    return PairPart(ours.name, theirs.name, rows)
