"""Evaluations as rows of a table: every rate and mean with its interval, on scales that all rows share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core.statistics import wilson
from training_app.models import Checkpoint, Evaluation
from training_app.plots import number

MODEL_NAMES = {"base": "base", "sl_cai": "SL-CAI", "rl_cai": "RL-CAI", "dpo_cai": "DPO-CAI"}
MINUS = str.maketrans("-", "\u2212")


@dataclass(frozen=True)
class Interval:
    """A number with its interval as words, and as percentages of the scale its column shares."""

    words: str
    low: int
    mid: int
    high: int


@dataclass(frozen=True)
class MeasuredRow:
    """One model of a run, measured on the held-out prompts. What was not measured is None."""

    model: str
    checkpoint: Checkpoint | None
    is_this: bool
    n: int | None
    reward: Interval | None
    evasive: Interval | None
    boilerplate: Interval | None
    words: str
    distinct: str
    wins: Interval | None
    same_position: str
    features: tuple[tuple[str, Interval], ...] = ()
    """By name the share of answers with each countable feature; empty where an older run counted none."""


def measured_rows(evaluations: Iterable[Evaluation], *, this: Checkpoint | None = None) -> list[MeasuredRow]:
    """The rows of one run, from the base model on. Reads each evaluation's checkpoint, if it has one."""
    known = list(MODEL_NAMES)
    found = sorted(evaluations, key=lambda one: known.index(one.model) if one.model in MODEL_NAMES else len(known))
    scale = _scale(one.metrics.get("reward_interval") or [one.metrics.get("reward_mean")] for one in found)
    return [_row(one, scale, this) for one in found]


def _row(one: Evaluation, scale: tuple[float, float], this: Checkpoint | None) -> MeasuredRow:
    metrics = one.metrics
    n = metrics.get("n")
    distinct = [metrics.get("distinct_1"), metrics.get("distinct_2")]
    return MeasuredRow(
        model=MODEL_NAMES.get(one.model, one.model),
        checkpoint=one.checkpoint,
        is_this=this is not None and one.checkpoint_id == this.pk,
        n=n,
        reward=_interval(metrics.get("reward_mean"), metrics.get("reward_interval"), scale),
        evasive=_rate(metrics.get("evasion_rate"), n),
        boilerplate=_rate(metrics.get("boilerplate_rate"), n),
        words=_words(metrics.get("length_mean")),
        distinct=" / ".join(_words(value) for value in distinct if value is not None),
        wins=_interval(metrics.get("win_rate_vs_base"), metrics.get("win_interval"), (0.0, 1.0)),
        same_position=_share(metrics.get("same_position")),
        features=_features(metrics.get("features") or {}),
    )


def _features(counted: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, Interval], ...]:
    rates = ((name, _interval(one.get("rate"), one.get("interval"), (0.0, 1.0))) for name, one in counted.items())
    return tuple((name.replace("_", " "), rate) for name, rate in rates if rate is not None)


def _scale(values: Iterable[Sequence[Any]]) -> tuple[float, float]:
    known = [value for pair in values for value in pair if isinstance(value, int | float)]
    return (min(known), max(known)) if known and max(known) > min(known) else (0.0, 1.0)


def _rate(rate: Any, n: Any) -> Interval | None:
    """A share of n answers with Wilson's interval."""
    if not isinstance(rate, int | float) or not isinstance(n, int) or n < 1:
        return None
    return _interval(rate, wilson(min(max(rate * n, 0.0), n), n).interval_list(), (0.0, 1.0))


def _interval(value: Any, interval: Any, scale: tuple[float, float]) -> Interval | None:
    if not isinstance(value, int | float):
        return None
    low, high = (float(part) for part in interval) if interval else (float(value), float(value))
    bounds = f" [{_words(low)}, {_words(high)}]" if interval else ""
    place = [_percent(part, scale) for part in (low, float(value), high)]
    return Interval(f"{_words(value)}{bounds}", *place)


def _percent(value: float, scale: tuple[float, float]) -> int:
    share = (value - scale[0]) / (scale[1] - scale[0])
    return round(100 * min(max(share, 0.0), 1.0))


def _words(value: Any) -> str:
    if not isinstance(value, int | float):
        return ""
    value = round(value, 2) + 0.0  # a negative zero has no meaning here
    return (f"{value:.2f}" if abs(value) < 10 else number(round(value, 1))).translate(MINUS)


def _share(value: Any) -> str:
    return f"{round(100 * value)}%" if isinstance(value, int | float) else ""
