"""How alike short texts are, by their letters: TF-IDF over character n-grams, compared by cosine. No model, no numpy.

All pairs above a threshold t are found exactly without comparing all pairs. Every vector has length one, and its
n-grams are taken in one common order, the rarest first, until the rest of the vector is shorter than r. For two texts
whose parts taken have the product p, what the rest adds is at most r (Cauchy-Schwarz), so only pairs with p >= t - r
are compared in full (prefix filtering; Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", 2007).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

_N = 5
_REST = 0.45
"""Length of what is left of a vector when its partners are chosen: shorter takes longer and chooses fewer."""

Vector = dict[str, float]
"""Weights by n-gram, from the rarest n-gram to the most frequent one; of length one, or empty."""


def pairs_alike(texts: Sequence[str], threshold: float) -> list[tuple[int, int, float]]:
    """Every two texts (i < j) whose cosine reaches `threshold`, with it. Empty texts are like nothing."""
    holders: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    vectors = vectors_of(texts)
    rest = min(_REST, threshold * 0.9)
    alike = []
    for index, vector in enumerate(vectors):
        products: defaultdict[int, float] = defaultdict(float)
        left_over = 1.0
        for gram, weight in vector.items():
            if left_over < rest * rest:
                break
            for other, others_weight in holders[gram]:
                products[other] += weight * others_weight
            holders[gram].append((index, weight))
            left_over -= weight * weight
        alike += [
            (other, index, cosine)
            for other, product in products.items()
            if product >= threshold - rest and (cosine := cosine_of(vector, vectors[other])) >= threshold
        ]
    return sorted(alike)


def alike_to_first(texts: Sequence[str], threshold: float) -> list[tuple[int, float]]:
    """Which texts (by index) are like the first one, with the cosine."""
    first, *others = vectors_of(texts)
    cosines = ((index, cosine_of(first, other)) for index, other in enumerate(others, start=1))
    return [(index, cosine) for index, cosine in cosines if cosine >= threshold]


def vectors_of(texts: Sequence[str]) -> list[Vector]:
    """A vector for each text, with the rarity of an n-gram taken from all the texts together."""
    counted = [Counter(chain.from_iterable(map(_grams, text.lower().split()))) for text in texts]
    often = Counter(chain.from_iterable(counted))
    order = {gram: place for place, gram in enumerate(sorted(often, key=lambda gram: (often[gram], gram)))}
    # Smoothed, so that in a constitution of two principles shared words still count for something.
    rarity = {gram: math.log((1 + len(texts)) / (1 + number)) + 1 for gram, number in often.items()}
    vectors = []
    for counts in counted:
        weights = {gram: counts[gram] * rarity[gram] for gram in sorted(counts, key=order.__getitem__)}
        length = math.hypot(*weights.values())
        vectors.append({gram: weight / length for gram, weight in weights.items()})
    return vectors


def cosine_of(left: Vector, right: Vector) -> float:
    """The cosine of two vectors: 1 for texts of the same n-grams, 0 for texts that share none."""
    shorter, longer = (left, right) if len(left) < len(right) else (right, left)
    return sum(weight * longer[gram] for gram, weight in shorter.items() if gram in longer)


@lru_cache(maxsize=20_000)
def _grams(word: str) -> tuple[str, ...]:
    """The n-grams of a word with a space on both sides; a short word is its own."""
    padded = f" {word[:200]} "
    return tuple(padded[at : at + _N] for at in range(max(len(padded) - _N, 0) + 1))
