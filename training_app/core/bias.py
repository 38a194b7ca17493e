"""Whether somebody's choices follow something that should not matter: the side a response stood on, its length, the
order it was shown in, and how long the choice took. Shares with Wilson's interval; one half is what no bias looks like.

Of choices between two responses of equal length, or for neither, nothing is counted. What is left out: whether a
longer response *is* better; a share away from one half is a question to look into, not a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import quantiles

from training_app.core.statistics import Estimate, wilson


@dataclass(frozen=True)
class Chosen:
    """One choice: "a", "b" or another; which response stood first ("" unknown); lengths in characters; seconds."""

    choice: str
    shown_first: str
    length_a: int
    length_b: int
    seconds: int | None = None


@dataclass(frozen=True)
class Bias:
    """Of somebody's choices: the share for what stood first, and for the longer one; seconds as quartiles, or None."""

    side: Estimate
    length: Estimate
    seconds: tuple[float, float, float] | None
    timed: int


@dataclass(frozen=True)
class Orders:
    """Of a judge asked in both orders: the share of labels with one place picked twice, and of picks of the first."""

    same_position: Estimate
    first_place: Estimate
    length: Estimate


def bias_of(choices: Iterable[Chosen]) -> Bias:
    """The bias of one person's choices."""
    made = [one for one in choices if one.choice in ("a", "b")]
    placed = [one for one in made if one.shown_first]
    times = [float(one.seconds) for one in made if one.seconds is not None]
    return Bias(
        side=wilson(sum(one.choice == one.shown_first for one in placed), len(placed)),
        length=_longer(made),
        seconds=_quartiles(times),
        timed=len(times),
    )


def orders_of(labels: Iterable[tuple[float, float, int, int]]) -> Orders:
    """The bias of a judge, from (p(A) with A first, p(A) with B first, length of A, length of B) of its labels."""
    rows = list(labels)
    picks = [pick for p_ab, p_ba, _, _ in rows for pick in (p_ab, 1 - p_ba) if pick != 0.5]
    sure = [(p_ab, p_ba) for p_ab, p_ba, _, _ in rows if p_ab != 0.5 and p_ba != 0.5]
    means = [Chosen(_side((p_ab + p_ba) / 2), "", a, b) for p_ab, p_ba, a, b in rows]
    return Orders(
        same_position=wilson(sum((p_ab > 0.5) != (p_ba > 0.5) for p_ab, p_ba in sure), len(sure)),
        first_place=wilson(sum(pick > 0.5 for pick in picks), len(picks)),
        length=_longer([one for one in means if one.choice]),
    )


def _side(p_a: float) -> str:
    return "a" if p_a > 0.5 else "b" if p_a < 0.5 else ""


def _longer(choices: Sequence[Chosen]) -> Estimate:
    unequal = [one for one in choices if one.length_a != one.length_b]
    longer = sum((one.choice == "a") == (one.length_a > one.length_b) for one in unequal)
    return wilson(longer, len(unequal))


def _quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    """First quartile, median, third; None for fewer than two values."""
    if len(values) < 2:
        return None
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high
