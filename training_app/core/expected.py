"""What people expect of compared runs before any figure is seen, and what the figures then say of it.

Whoever looks at many figures finds one that differs, so which ones are asked about is said beforehand: for each side
the features that its text speaks of, as "more warmth" or "less list". From this follow the comparisons to test:

    a side says more, the other says nothing or less      the first is higher
    both say the same                                     no difference: other words, same meaning (a placebo)
    neither says anything                                 not tested: a figure to look around in

The comparisons that are to differ are one family: Holm's procedure (`paired.py`) goes over all of them, of every pair
of sides. One that is to show no difference is held against its own plain interval, which is the stricter way for it;
that none is shown does not prove that there is none, so how large it may be stands beside it. Every model that the runs
made (SL-CAI, RL-CAI …) is a family of its own. What is left out: how much of a difference was expected.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from training_app.core.features import BadPatterns, features
from training_app.core.paired import Paired, Verdict, verdicts

MOST = 20
"""Lines."""

ALWAYS_COUNTED = ("words", "evasive", "boilerplate")
"""What is compared beside the countable features; rewards are not, for every run has a scale of its own."""

DIRECTIONS: Mapping[str, bool] = {"more": True, "less": False}


class BadExpectations(ValueError):
    """A line cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Expectation:
    """That the text of a side asks for more, or for less, of a feature."""

    arm: str
    feature: str
    more: bool

    def as_data(self) -> dict[str, Any]:
        return {"arm": self.arm, "feature": self.feature, "more": self.more}

    @property
    def words(self) -> str:
        return f"{'more' if self.more else 'less'} {self.feature}"


@dataclass(frozen=True)
class Hypothesis:
    """One comparison that was named: `ours` less `theirs` is above 0 (1), below it (-1), or neither (0)."""

    feature: str
    ours: str
    theirs: str
    sign: int

    @property
    def words(self) -> str:
        return {1: "higher", -1: "lower", 0: "no difference"}[self.sign]


class Outcome(StrEnum):
    """What the figures say of an expectation."""

    HOLDS = "as expected"
    OPPOSITE = "the other way"
    NOT_SHOWN = "not shown"
    ALIKE = "no difference shown, as expected"
    DIFFERS = "differs, though the texts say the same"
    UNTOLD = "untold"
    """Too little is measured."""


def read_expectations(text: str) -> list[Expectation]:
    """The lines "side: more feature" of a text. Raises BadExpectations for the first that is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST:
        raise BadExpectations(f"There are {len(lines)} lines; {MOST} are the most.")
    return [_read(number, line) for number, line in enumerate(lines, start=1)]


def _read(number: int, line: str) -> Expectation:
    side, colon, said = line.rpartition(":")
    words = said.split()
    if not colon or not side.strip() or len(words) != 2 or words[0].lower() not in DIRECTIONS:
        raise BadExpectations(f"Line {number} is not of the form “side: more warmth” or “side: less words”.")
    return Expectation(side.strip(), words[1].lower(), DIRECTIONS[words[0].lower()])


def counted_in(config: Mapping[str, Any]) -> list[str]:
    """What is counted in the answers of runs with this configuration (plain data) and can be named."""
    patterns = (config.get("evaluate") or {}).get("patterns") or ""
    try:
        found = features(patterns)
    except BadPatterns:
        found = features()
    return [*ALWAYS_COUNTED, *(name for name in found if name not in ALWAYS_COUNTED)]


def check_expectations(said: Sequence[Expectation], arms: Collection[str], counted: Collection[str]) -> None:
    """That every line names a side there is and something that is counted, once. Raises BadExpectations."""
    seen: set[tuple[str, str]] = set()
    for one in said:
        if len(arms) < 2:
            raise BadExpectations("There is one side alone, so there is nothing to expect of a comparison.")
        if one.arm not in arms:
            raise BadExpectations(f"There is no side “{one.arm}”. There are: {', '.join(arms)}.")
        if one.feature not in counted:
            raise BadExpectations(f"“{one.feature}” is not counted. Counted are: {', '.join(counted)}.")
        if (one.arm, one.feature) in seen:
            raise BadExpectations(f"“{one.feature}” stands twice for “{one.arm}”.")
        seen.add((one.arm, one.feature))


def hypotheses(said: Sequence[Expectation], pairs: Sequence[tuple[str, str]]) -> list[Hypothesis]:
    """What follows for these pairs of arms, the earlier arm first, as the page holds them against each other."""
    wanted = {(one.arm, one.feature): 1 if one.more else -1 for one in said}
    named = list(dict.fromkeys(one.feature for one in said))
    found = []
    for theirs, ours in pairs:
        for feature in named:
            us, them = wanted.get((ours, feature), 0), wanted.get((theirs, feature), 0)
            if us or them:
                found.append(Hypothesis(feature, ours, theirs, (us > them) - (us < them)))
    return found


def outcomes(named: Sequence[tuple[Hypothesis, Paired]]) -> list[Outcome]:
    """What the differences say of each hypothesis, those that are to differ looked at together (Holm)."""
    called = iter(verdicts([difference for one, difference in named if one.sign]))
    return [_of_sign(one.sign, next(called)) if one.sign else _of_placebo(difference) for one, difference in named]


def _of_sign(sign: int, verdict: Verdict) -> Outcome:
    if verdict is Verdict.UNTOLD:
        return Outcome.UNTOLD
    if verdict in (Verdict.HIGHER, Verdict.LOWER):
        return Outcome.HOLDS if (verdict is Verdict.HIGHER) == (sign > 0) else Outcome.OPPOSITE
    return Outcome.NOT_SHOWN


def _of_placebo(difference: Paired) -> Outcome:
    if difference.over_both is None:
        return Outcome.UNTOLD
    low, high = difference.over_both
    return Outcome.ALIKE if low <= 0 <= high else Outcome.DIFFERS
