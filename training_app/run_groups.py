"""Compared runs, read: what each arm measured on the held-out prompts, and how far it differs from the first.

Values come from the answers of the stage `evaluate`, one per run, model and prompt. A new quantity is an entry of
`METRICS`: a function of one answer. Two queries, however many runs and prompts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from training_app.core.paired import Difference, paired_difference
from training_app.measured import MODEL_NAMES
from training_app.models import EvaluationAnswer, Run, RunGroup

Metric = Callable[[EvaluationAnswer], float | None]
"""One answer → a number, or None where it has none."""

METRICS: Mapping[str, tuple[str, Metric]] = {
    "reward": ("Reward", lambda answer: answer.reward),
    "words": ("Words", lambda answer: float(answer.words)),
    "evasive": ("Evasive", lambda answer: float(answer.evasive)),
    "boilerplate": ("Boilerplate", lambda answer: float(answer.boilerplate)),
}
"""Slug → (name, what it says of one answer)."""

SCALED_BY_RUN = frozenset({"reward"})
"""Metrics whose scale is each run's own, so that arms cannot be held against each other in them."""


@dataclass(frozen=True)
class ArmValue:
    """One arm in one metric: its mean, over how many answers, and how it differs from the first arm."""

    arm: str
    mean: float | None
    answers: int
    difference: Difference | None
    """None for the first arm."""


@dataclass(frozen=True)
class MetricRow:
    """One metric of one model over all arms."""

    name: str
    values: tuple[ArmValue, ...]
    note: str = ""


@dataclass(frozen=True)
class ModelPart:
    """One model (SL-CAI, RL-CAI …) in every metric."""

    model: str
    rows: tuple[MetricRow, ...]


def runs_of(group: RunGroup) -> list[Run]:
    """The group's runs by seed, then in the order of the arms. One query."""
    place = {arm: number for number, arm in enumerate(group.arms)}
    return sorted(Run.objects.filter(group=group), key=lambda run: (run.seed, place.get(run.arm, len(place))))


def compared(
    group: RunGroup, runs: Sequence[Run], metrics: Mapping[str, tuple[str, Metric]] = METRICS
) -> tuple[ModelPart, ...]:
    """Every model of the group's runs in every metric, arm by arm. One query."""
    of_run = {run.pk: (run.arm, run.seed) for run in runs}
    answers = list(EvaluationAnswer.objects.filter(run__in=of_run).order_by("pk"))
    models = [slug for slug in MODEL_NAMES if any(answer.model == slug for answer in answers)]
    return tuple(
        ModelPart(
            model,
            tuple(
                _row(slug, name, metric, group.arms, [one for one in answers if one.model == model], of_run)
                for slug, (name, metric) in metrics.items()
            ),
        )
        for model in models
    )


def _row(
    slug: str,
    name: str,
    metric: Metric,
    arms: Sequence[str],
    answers: Iterable[EvaluationAnswer],
    of_run: Mapping[UUID, tuple[str, int]],
) -> MetricRow:
    measured: dict[str, dict[tuple[int, int], float]] = {arm: {} for arm in arms}
    for answer in answers:
        arm, seed = of_run[answer.run_id]
        if arm in measured and (value := metric(answer)) is not None:
            measured[arm][answer.prompt_id, seed] = value
    first = measured[arms[0]]
    comparable = slug not in SCALED_BY_RUN
    values = tuple(
        ArmValue(
            arm,
            math.fsum(found.values()) / len(found) if found else None,
            len(found),
            paired_difference(found, first) if comparable and place else None,
        )
        for place, (arm, found) in enumerate(measured.items())
    )
    return MetricRow(name, values, "" if comparable else "Every run has a reward model of its own, on its own scale.")
