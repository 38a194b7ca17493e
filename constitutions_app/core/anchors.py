"""A comment's place in a text: a range of words that follows the text as it changes.

The words of both texts are aligned (`words.py`): what survives of the range stays anchored, words that replaced some of
its own belong to it, words added at its edges do not. When none of its words survive, the quote may have moved: a quote
long enough to be no coincidence that stands exactly once in the new text is anchored there. Otherwise the comment is
orphaned, with the place where its words used to be. Offsets count Unicode code points, as Python does.
"""

from __future__ import annotations

from dataclasses import dataclass

from constitutions_app.core.words import match_words, split_words

_WORDS_OF_A_MOVED_QUOTE = 3
"""A quote of fewer words can stand elsewhere by chance."""


@dataclass(frozen=True)
class Anchor:
    """The range text[start:end], which reads `quote`."""

    start: int
    end: int
    quote: str


@dataclass(frozen=True)
class Orphaned:
    """The anchored words are gone. `near` is where they used to stand, as an offset into the new text."""

    quote: str
    near: int


def anchor(text: str, start: int, end: int) -> Anchor:
    """An anchor on whole words: the range grown to the words it touches, without white space at its edges.

    Raises ValueError when the range holds no word.
    """
    touched = [word for word in split_words(text) if word.start < end and word.end > start]
    if not touched:
        raise ValueError("A comment is anchored to at least one word.")
    first, last = touched[0].start, touched[-1].end
    return Anchor(first, last, text[first:last])


def follow(place: Anchor, old: str, new: str) -> Anchor | Orphaned:
    """Where the words anchored in `old` stand in `new`.

    An anchor that does not fit `old` (its quote stands elsewhere) is put right first, if its quote stands there once.
    """
    if old[place.start : place.end] != place.quote or place.start >= place.end:
        found = _only_place(place.quote, old)
        if found is None:
            return _moved(place.quote, new) or Orphaned(place.quote, min(max(place.start, 0), len(new)))
        place = Anchor(found, found + len(place.quote), place.quote)
    if old == new:
        return place
    carried = _carried(place, old, new)
    return carried if isinstance(carried, Anchor) else _moved(place.quote, new) or Orphaned(place.quote, carried)


def _carried(place: Anchor, old: str, new: str) -> Anchor | int:
    """The range in the new text; where it used to be when none of its words survive."""
    old_words, new_words = split_words(old), split_words(new)
    pairs = match_words(old_words, new_words)
    touched = [index for index, word in enumerate(old_words) if word.start < place.end and word.end > place.start]
    if not touched:
        return min(place.start, len(new))
    first, last = touched[0], touched[-1]
    before = max((pair for pair in pairs if pair[0] < first), default=(-1, -1))
    after = min((pair for pair in pairs if pair[0] > last), default=(len(old_words), len(new_words)))
    inside = [pair for pair in pairs if first <= pair[0] <= last]
    if not inside:
        return new_words[before[1]].end if before[1] >= 0 else 0
    start, end = inside[0][1], inside[-1][1]
    # Words put in place of the range's own first or last words belong to it; where more was replaced, they do not.
    if inside[0][0] > first and before[0] == first - 1:
        start = before[1] + 1
    if inside[-1][0] < last and after[0] == last + 1:
        end = after[1] - 1
    begins, stops = new_words[start].start, new_words[end].end
    return Anchor(begins, stops, new[begins:stops])


def _moved(quote: str, new: str) -> Anchor | None:
    if len(split_words(quote)) < _WORDS_OF_A_MOVED_QUOTE:
        return None
    found = _only_place(quote, new)
    return None if found is None else Anchor(found, found + len(quote), quote)


def _only_place(quote: str, text: str) -> int | None:
    """Where `quote` stands in `text`, when it stands there exactly once."""
    found = text.find(quote) if quote else -1
    if found < 0 or text.find(quote, found + 1) >= 0:
        return None
    return found
