"""From raw log-probabilities to one probability per comparison, without the model: orders, principles, clamp.

    p(a | one asking)   = sigmoid(logp_a - logp_b)                                 (arXiv 2212.08073, section 4.1)
    p(a | one label)    = mean over the orders kept of the mean over their samples
    p(a | comparison)   = mean:      Σ w p / Σ w
                          majority:  1, 0 or 1/2, as Σ w sign(p - 1/2) is above, below or equal to 0
                          product:   sigmoid(Σ w logit p / w̄), every principle an independent witness
    target              = p(a | comparison), clamped last

w are the weights of the principles where each judged once; 1 where principles were drawn by weight already. "Neither"
is a third option: p(neither) = exp(logp_n) / (exp(logp_a) + exp(logp_b) + exp(logp_n)); p(a) stays what it is among the
two responses. A label that is more likely neither than not is not relevant and may be left out (Inverse Constitutional
AI keeps "none" votes for the same reason). Left out: confidence weights, learnt aggregation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HOW = ("mean", "majority", "product")
ORDERS = ("both", "ab", "ba")
FARTHEST = 700.0
"""Largest difference of log-probabilities that is told apart: beyond it exp overflows and p is 0 or 1 anyway."""

CERTAIN = 1e-9
"""A probability nearer to 0 or 1 counts as this near in a product; float64 cannot tell 1 - p from 1 much below."""


@dataclass(frozen=True)
class Vote:
    """One asking. `order` "ab" showed response a first; the log-probabilities are those of the responses a and b."""

    order: str
    logp_a: float
    logp_b: float
    logp_neither: float | None = None

    @property
    def p_a(self) -> float:
        """Probability of a, among the two responses."""
        return sigmoid(self.logp_a - self.logp_b)

    @property
    def p_neither(self) -> float | None:
        """Probability of neither, among all three; None when it was not offered."""
        if self.logp_neither is None:
            return None
        highest = max(self.logp_a, self.logp_b)
        either = highest + math.log(math.exp(self.logp_a - highest) + math.exp(self.logp_b - highest))
        return sigmoid(self.logp_neither - either)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Vote:
        """Read ``{"order", "logp_a", "logp_b", "logp_neither"?}``."""
        return cls(str(row["order"]), float(row["logp_a"]), float(row["logp_b"]), row.get("logp_neither"))


@dataclass(frozen=True)
class Aggregation:
    """How raw labels become targets. Every part can be chosen again after the judge is gone."""

    how: str = "mean"
    orders: str = "both"
    clamp: tuple[float, float] | None = None
    drop_irrelevant: bool = True

    def words(self) -> str:
        """How people read it: "majority, both orders, clamped to 0.4-0.6"."""
        orders = {"both": "both orders", "ab": "A first only", "ba": "B first only"}[self.orders]
        clamp = f"clamped to {self.clamp[0]:g}-{self.clamp[1]:g}" if self.clamp else "not clamped"
        return f"{self.how}, {orders}, {clamp}"


def sigmoid(difference: float) -> float:
    """1 / (1 + exp(-difference)), finite for every difference."""
    return 1 / (1 + math.exp(-min(max(difference, -FARTHEST), FARTHEST)))


def logit(p: float) -> float:
    """log(p / (1 - p)) of p kept within `CERTAIN`, so that one certain principle cannot outweigh all others."""
    kept = min(max(p, CERTAIN), 1 - CERTAIN)
    return math.log(kept) - math.log1p(-kept)


def p_of(votes: Sequence[Vote], orders: str = "both") -> float:
    """p(a) of one label: the mean over its orders of the mean over each order's samples. ValueError without any."""
    return _over_orders([(vote.order, vote.p_a) for vote in votes], orders)


def neither_of(votes: Sequence[Vote], orders: str = "both") -> float | None:
    """p(neither) of one label, averaged alike; None when it was not offered."""
    found = [(vote.order, p) for vote in votes if (p := vote.p_neither) is not None]
    return _over_orders(found, orders) if found else None


def combined(ps: Sequence[float], weights: Sequence[float], how: str) -> float:
    """Several principles' p(a) on one comparison as one; `how` is one of `HOW`. Raises ValueError for another."""
    total = sum(weights)
    if how == "mean":
        return sum(p * weight for p, weight in zip(ps, weights, strict=True)) / total
    if how == "majority":
        balance = sum(weight * ((p > 0.5) - (p < 0.5)) for p, weight in zip(ps, weights, strict=True))
        return 0.5 if math.isclose(balance, 0, abs_tol=1e-12) else float(balance > 0)
    if how == "product":
        return sigmoid(sum(logit(p) * weight for p, weight in zip(ps, weights, strict=True)) * len(ps) / total)
    raise ValueError(f"There is no aggregation {how!r}; there are {', '.join(HOW)}.")


def clamped(p: float, clamp: tuple[float, float] | None) -> float:
    """p within the clamp, or as it is without one."""
    return p if clamp is None else min(max(p, clamp[0]), clamp[1])


def votes_of(label: Mapping[str, Any]) -> list[Vote]:
    """The raw askings of a "label" record: each sample of a chain of thought, else one per order. May be empty."""
    return [Vote.from_row(row) for row in label.get("votes") or label.get("orders") or ()]


def _over_orders(found: Iterable[tuple[str, float]], orders: str) -> float:
    by_order: dict[str, list[float]] = {}
    for order, p in found:
        if orders in ("both", order):
            by_order.setdefault(order, []).append(p)
    if not by_order:
        raise ValueError(f"There is no asking in the order {orders!r}.")
    return sum(sum(ps) / len(ps) for ps in by_order.values()) / len(by_order)
