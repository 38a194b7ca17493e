"""Which texts are nearly the same: by meaning where their vectors were compared, by letters everywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from constitutions_app.core.similarity import alike_to_first, pairs_alike

ALIKE = 0.6
"""Cosine by letters from which two texts count as near-duplicates."""
ALIKE_IN_MEANING = 0.8
"""Cosine by meaning from which they do. Among the public's 119 statements of Collective Constitutional AI 42 of 7,021
pairs reach it, nearly all on one point; among the 24 principles of the starter constitution none does."""


@dataclass(frozen=True)
class Pair:
    """Two texts by their places (left < right), how alike they are (0 to 1), and what was compared."""

    left: int
    right: int
    share: float
    by: Literal["letters", "meaning"]


@dataclass(frozen=True)
class Likeness:
    """What is known of meanings: texts that have a vector, and those pairs of them that reach ALIKE_IN_MEANING."""

    known: frozenset[str] = frozenset()
    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    how: str = "by letters: the share of letter groups that two texts have in common, without a language model"
    """How near-duplicates are found; said beside the hints."""

    def among(self, texts: Sequence[str]) -> list[Pair]:
        """All pairs of near-duplicates, by letters where not both texts are known or they are the same."""
        return self._chosen(texts, _by_letters(tuple(texts)))

    def to_first(self, texts: Sequence[str]) -> list[Pair]:
        """As `among`, for the pairs of the first text only."""
        found = [Pair(0, other, share, "letters") for other, share in alike_to_first(texts, ALIKE)]
        return [pair for pair in self._chosen(texts, found) if pair.left == 0]

    def _chosen(self, texts: Sequence[str], by_letters: Sequence[Pair]) -> list[Pair]:
        kept = [
            pair
            for pair in by_letters
            if texts[pair.left] == texts[pair.right] or not {texts[pair.left], texts[pair.right]} <= self.known
        ]
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            places.setdefault(text, []).append(place)
        kept += [
            Pair(min(one, other), max(one, other), share, "meaning")
            for (left, right), share in self.pairs.items()
            for one in places.get(left, ())
            for other in places.get(right, ())
        ]
        return sorted(kept, key=lambda pair: (pair.left, pair.right))


BY_LETTERS = Likeness()


@lru_cache(maxsize=16)
def _by_letters(texts: tuple[str, ...]) -> list[Pair]:
    """Kept, because an outline asks again whenever one of many parts has changed."""
    return [Pair(*found, "letters") for found in pairs_alike(texts, ALIKE)]
