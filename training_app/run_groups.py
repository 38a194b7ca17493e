"""Compared runs, read: what each arm measured on the held-out prompts, and how far the arms differ from one another.

Values come from the answers of the stage `evaluate`, one per run, model and prompt. A new quantity is an entry of
`METRICS`: a function of one answer; the countable features that answers carry are added by their names. Two queries,
however many runs and prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

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
    values: Sequence[Mapping[tuple[int, int], float]]


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
        """The difference of two shares between -1 and 1; None where it is none, or has no interval."""
        if not self.counts or self.difference.value is None or self.difference.over_both is None:
            return None
        low, high = self.difference.over_both
        return Bar(*(round(50 + 50 * min(max(one, -1.0), 1.0)) for one in (low, self.difference.value, high)))


@dataclass(frozen=True)
class PairPart:
    """Two arms in every metric that they share a scale in: `ours` less `theirs`."""

    ours: str
    theirs: str
    rows: tuple[MetricDifference, ...]

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
    pairs: tuple[PairPart, ...]
    """Arms against arms, then each arm against the base model."""


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
    return tuple(_part(model, group.arms, answers[model], base) for model in MODEL_NAMES if model in answers)


def _part(model: str, arms: Sequence[str], answers: Answers, base: Answers) -> ModelPart:
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

    def side(name: str, measured: Mapping[str, Measured], arm: str) -> Side:
        return Side(name, [measured[slug][arm] for slug in shared])

    names = [(metrics[slug][0], slug not in AMOUNTS) for slug in shared]
    pairs = [_pair(names, side(arm, ours, arm), side(other, ours, other)) for other, arm in pairs_of(arms)]
    if base:
        pairs += [_pair(names, side(arm, ours, arm), side(BASE_MODEL, begun, arm)) for arm in arms]
    return ModelPart(model, columns, tuple(row for row in rows if row.is_measured), tuple(pairs))


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


def _pair(names: Sequence[tuple[str, bool]], ours: Side, theirs: Side) -> PairPart:
    differences = [paired_difference(one, other) for one, other in zip(ours.values, theirs.values, strict=True)]
    judged = zip(names, differences, verdicts(differences), strict=True)
    rows = tuple(MetricDifference(*name, difference, verdict) for name, difference, verdict in judged)
    return PairPart(ours.name, theirs.name, rows)
