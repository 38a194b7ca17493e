"""Places in a text: a browser counts UTF-16 units, Python and every anchor count Unicode code points.

The one place where the two are converted. A character above U+FFFF (most emoji) is two units and one code point.
"""

from __future__ import annotations


def to_code_points(text: str, units: int) -> int:
    """The code point at which the UTF-16 offset `units` lies, within 0..len(text); inside a pair: the pair's own."""
    if units <= 0:
        return 0
    left = units
    for index, character in enumerate(text):
        left -= _width(character)
        if left < 0:
            return index
    return len(text)


def to_units(text: str, offset: int) -> int:
    """The UTF-16 offset of the code point at `offset`, which is held within the text."""
    return sum(map(_width, text[: max(offset, 0)]))


def _width(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1
