"""Which state of a text each of its words came in with, along a graph of states, as `git blame` does for lines.

A word that stands in a parent (by the alignment of `words.py`) keeps its origin; the first parent is asked first, so a
merge gives each side's words to that side. What stands in no parent came in with the state itself. Left out: words that
were moved inside a text count as new where they stand now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from constitutions_app.core.words import Effort, match_words, split_words


@dataclass(frozen=True)
class State:
    """A text at one moment. `parents` are ids of states before it in the sequence; unknown ones are passed over."""

    id: str
    parents: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Run:
    """Neighbouring words of one origin, with the white space behind them."""

    text: str
    origin: str


def blame(states: Sequence[State], effort: Effort | None = None) -> tuple[Run, ...]:
    """The runs of the last state's text, in order; joined they are that text. Parents stand before their children."""
    effort = effort or Effort()
    texts = {state.id: state.text for state in states}
    origins: dict[str, list[str]] = {}
    for state in states:
        parents = [parent for parent in state.parents if parent in origins]
        origins[state.id] = _origins(state, [(texts[parent], origins[parent]) for parent in parents], effort)
    return _runs(states[-1].text, origins[states[-1].id]) if states else ()


def _origins(state: State, parents: Sequence[tuple[str, list[str]]], effort: Effort) -> list[str]:
    """The origin of each word of a state."""
    for text, known in parents:
        if text == state.text:
            return known
    words = split_words(state.text)
    found: list[str] = [""] * len(words)
    for text, known in parents:
        for before, now in match_words(split_words(text), words, effort):
            found[now] = found[now] or known[before]
    return [origin or state.id for origin in found]


def _runs(text: str, origins: Sequence[str]) -> tuple[Run, ...]:
    """The text cut where the origin changes, each cut just before a word."""
    words = split_words(text)
    cuts = [index for index in range(1, len(words)) if origins[index] != origins[index - 1]]
    starts = [0, *cuts]
    ends = [*(words[index].start for index in cuts), len(text)]
    places = [0, *(words[index].start for index in cuts)]
    if not words:
        return ()
    return tuple(Run(text[place:end], origins[start]) for start, place, end in zip(starts, places, ends, strict=True))
