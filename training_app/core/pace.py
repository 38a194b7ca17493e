"""How fast a training goes, from one told step to the next: curves beside the others, and no part of any result.

Two equal trainings do not take equally long, so these values stay out of summaries and manifests (`NAMES`). The first
step of a process is left out: it also loads, compiles and warms up.
"""

from __future__ import annotations

import time
from collections.abc import Callable

NAMES = ("tokens_a_second", "seconds_a_step")


class Pace:
    """Remembers when the last step was told."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[float, int, float | None] | None = None

    def at(self, step: int, tokens: float | None) -> dict[str, float]:
        """The pace since the step before; `tokens` are all that this process has read so far, None where unknown."""
        now, last = self._clock(), self._last
        self._last = now, step, tokens
        if last is None or step <= last[1] or now <= last[0]:
            return {}
        elapsed = now - last[0]
        found = {"seconds_a_step": round(elapsed / (step - last[1]), 4)}
        if tokens is not None and last[2] is not None and tokens > last[2]:
            found["tokens_a_second"] = round((tokens - last[2]) / elapsed, 2)
        return found
