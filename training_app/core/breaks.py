"""When somebody who judges one item after another is offered a break. Offered, never forced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

PAUSE = timedelta(minutes=5)
"""Longer without a decision: a break was taken."""


@dataclass(frozen=True)
class Streak:
    """Decisions one after the other without a break, and how many minutes they span."""

    items: int
    minutes: int


def streak_of(decided: Sequence[datetime], now: datetime) -> Streak:
    """The streak that is still going on, from the times of the newest decisions in any order."""
    newest_first = sorted(decided, reverse=True)
    last, items = now, 0
    for at in newest_first:
        if last - at > PAUSE:
            break
        last, items = at, items + 1
    return Streak(items, int((now - last).total_seconds() // 60) if items else 0)


def is_due(streak: Streak, *, after_items: int, after_minutes: int) -> bool:
    """Whether a break is offered now: at each multiple of `after_items`, and from `after_minutes` on; 0 is never."""
    by_items = bool(after_items) and streak.items > 0 and streak.items % after_items == 0
    return by_items or (bool(after_minutes) and streak.minutes >= after_minutes)
