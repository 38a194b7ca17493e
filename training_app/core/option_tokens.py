"""How a tokenizer writes the two answers " (A)" and " (B)": checked once per judge, before anything is asked.

What is compared are the log-probabilities of the *whole* strings, never of a bare letter found somewhere (a tokenizer
may write " (A" as one token, or "A)" ). Three cases: the strings differ in one token, then one forward reads both
letters; they differ in more, then both are scored whole; they are not told apart, then this judge is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol, runtime_checkable

from training_app.core.errors import BadInput
from training_app.core.prompts import ANSWER


@runtime_checkable
class Encodes(Protocol):
    """A backend whose tokenizer is at hand; a server's is not."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""


@dataclass(frozen=True)
class OptionTokens:
    """How the answers are written, for the record of every label stage."""

    one_forward: bool
    lengths: tuple[int, ...]

    def words(self) -> str:
        """For people: "one token apart, read in one forward"."""
        if self.one_forward:
            return "one token apart, read in one forward"
        return f"scored whole, {' and '.join(map(str, self.lengths))} tokens"


def check_option_tokens(backend: object, options: Sequence[str]) -> OptionTokens | None:
    """How `backend` writes the options behind a prompt; None where its tokenizer is not at hand.

    Raises BadInput when two options are the same tokens: then every label would be one half.
    """
    if not isinstance(backend, Encodes):
        return None
    asked = backend.encode(ANSWER)
    written = [backend.encode(ANSWER + option) for option in options]
    for (one, first), (other, second) in combinations(zip(options, written, strict=True), 2):
        if first in (second, asked) or second == asked:
            raise BadInput(
                f'This judge\'s tokenizer does not tell "{one.strip()}" from "{other.strip()}".',
                "Choose another judge model: with this one every label would be one half.",
            )
    first = written[0]
    apart = [[left != right for left, right in zip(first, ids, strict=False)].count(True) for ids in written[1:]]
    same_length = all(len(ids) == len(first) for ids in written)
    return OptionTokens(same_length and apart == [1] * len(apart), tuple(len(ids) for ids in written))
