"""What is true of an item, as whole numbers: the kind of fact in the upper bits, which one in the lower 24.

    token = kind * 2**24 + (value mod 2**24)

The triggers of the database (migrations/_facts.py) write the same numbers; a test holds the two against each other.
Texts (tags, flags) go by the first three bytes of their sha256, so two of them might share a token, one pair in some
16 million.

A list that is walked in an order is cut into blocks, each inside a larger one: `cover` names the few blocks that make
up a stretch. A question about a stretch is then answered by the index that answers everything else, and costs what
the stretch holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from enum import IntEnum

BITS = 24
LARGEST = (1 << BITS) - 1


class Fact(IntEnum):
    """The kinds of facts. Numbers are stored in every row: they are never reused."""

    VERSION = 1
    PRINCIPLE = 2
    JUDGE = 3
    RUN = 4
    IMPORT = 5
    PROMPT_SET = 6
    TAG = 7
    FLAG = 8
    STATE = 9
    AUDITOR = 10
    COMMENTED = 11
    SAME_POSITION = 12
    IDENTICAL = 13
    SOURCE = 14
    VERDICT = 15
    REASON = 16
    ABOUT = 17
    FINAL = 18
    P_1000 = 20
    P_100 = 21
    P_10 = 22
    BLOCK_10 = 30
    BLOCK_13 = 31
    BLOCK_16 = 32
    BLOCK_19 = 33
    BLOCK_22 = 34


ID_SHIFTS = {10: Fact.BLOCK_10, 13: Fact.BLOCK_13, 16: Fact.BLOCK_16, 19: Fact.BLOCK_19, 22: Fact.BLOCK_22}
"""Ids are walked in blocks of 2**10, 2**13 … ids."""

P_STEPS = {1: Fact.P_1000, 10: Fact.P_100, 100: Fact.P_10}
"""p(A) is walked in thousandths, hundredths and tenths: how many thousandths a block holds."""
THOUSAND = 1000

STATES = ("unaudited", "agreed", "overridden", "disputed")
"""What people made of an item. "disputed": they differ, and nobody has had the last word."""
FINALS = ("unanimous", "adjudicated", "unresolved")
"""Where that comes from, as `verdicts.Source`; an item that nobody judged has none."""
VERDICTS = ("agree", "override", "comment", "abstain", "withdraw")
SOURCES = ("sampled", "human", "imported", "chat")
ABOUT = ("label", "step")


def token(fact: Fact, value: int = 1) -> int:
    """The number for one fact."""
    return (int(fact) << BITS) | (value & LARGEST)


def value_of(fact: Fact, facets: Iterable[int]) -> int | None:
    """Which fact of a kind is true of an item that has one of it; None for none."""
    return next((one & LARGEST for one in facets if one >> BITS == fact), None)


def of_text(fact: Fact, text: str) -> int:
    """The number for a fact that is a text."""
    return token(fact, int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:3], "big"))


def thousandth(p: float) -> int:
    """The thousandth that a probability lies in, 0 to 999."""
    return min(int(p * THOUSAND), THOUSAND - 1)


def cover_ids(first: int, last: int) -> list[int]:
    """The tokens of the blocks that hold the ids `first` to `last`, both included, and a few more at the ends."""
    shift = min(ID_SHIFTS)
    blocks = _cover(first >> shift, last >> shift, [1 << (one - shift) for one in ID_SHIFTS])
    return [token(ID_SHIFTS[shift + (size.bit_length() - 1)], number) for size, number in blocks]


def cover_p(first: int, last: int) -> list[int]:
    """The tokens of the blocks that hold p(A) from the thousandth `first` to the thousandth `last`, both included."""
    return [token(P_STEPS[size], number) for size, number in _cover(first, last, list(P_STEPS))]


def _cover(first: int, last: int, sizes: list[int]) -> Iterator[tuple[int, int]]:
    """The fewest aligned blocks, (size, number), that make up `first` to `last`; each size divides the next."""
    while first <= last:
        size = next(one for one in reversed(sizes) if one == 1 or (first % one == 0 and first + one - 1 <= last))
        yield size, first // size
        first += size
