"""Answers sampled during RL, as the runner kept them: the newest, those of one step, the best and the worst."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import FloatField, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from training_app.models import Run, RunEvent

MOST_STEPS = 400
ENDS = 3


@dataclass(frozen=True)
class Rollout:
    """An answer sampled during RL, with the reward it got."""

    step: int
    prompt: str
    text: str
    reward: float | None


def rollouts_of(run: Run, most: int, *, step: int | None = None) -> list[Rollout]:
    """The newest answers, or those of one step. One query."""
    events = _events(run)
    return _read((events if step is None else events.filter(data__data__step=step)).order_by("-pk")[:most])


def best_rollouts(run: Run) -> list[Rollout]:
    """Those that earned most, best first. One query."""
    return _read(_by_reward(run, "-reward")[:ENDS])


def worst_rollouts(run: Run) -> list[Rollout]:
    """Those that earned least, worst first. One query."""
    return _read(_by_reward(run, "reward")[:ENDS])


def steps_with_rollouts(run: Run) -> set[int]:
    """The newest steps of which answers were kept. One query."""
    steps = _events(run).order_by("-pk").values_list("data__data__step", flat=True)
    return {int(step) for step in steps[: MOST_STEPS * 2] if isinstance(step, int)}


def _events(run: Run) -> QuerySet[RunEvent]:
    return RunEvent.objects.filter(stage__run=run, stage__slug="rl", kind="record", data__record="rollout")


def _by_reward(run: Run, order: str) -> QuerySet[RunEvent]:
    rewarded = _events(run).exclude(data__data__reward=None)
    return rewarded.annotate(reward=Cast(KT("data__data__reward"), FloatField())).order_by(order, "pk")


def _read(events: QuerySet[RunEvent]) -> list[Rollout]:
    said = [event.data.get("data") or {} for event in events]
    return [
        Rollout(int(data.get("step") or 0), str(data.get("prompt", "")), str(data.get("text", "")), data.get("reward"))
        for data in said
    ]
