"""Three-way merge of a text by words: what each side did to the common base is done in one result.

Both sides are aligned with the base word by word (`words.py`). Changes that share no word of the base are all made,
also where they touch; identical ones are made once; the others become a `Hunk` that carries all three texts, so no word
is ever lost. This is the three-way merge of Khanna, Kunal and Pierce ("A Formal Investigation of Diff3", 2007), on
words and without its rule that neighbours conflict. White space follows the words: between two words that stand side
by side in a source it is that source's, where both sources changed it the wider one wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from constitutions_app.core.words import Effort, match_words, split_words

Choice = Literal["base", "ours", "theirs", "both"]


@dataclass(frozen=True)
class Written:
    """A person's own words in place of a conflict."""

    text: str


@dataclass(frozen=True)
class Hunk:
    """A place that both sides changed in different ways. Each text begins with the white space before it."""

    base: str
    ours: str
    theirs: str

    def chosen(self, choice: Choice | Written) -> str:
        """The text that `choice` puts here; "both" is ours and then theirs."""
        if isinstance(choice, Written):
            return self.ours[: len(self.ours) - len(self.ours.lstrip())] + choice.text.strip() if choice.text else ""
        if choice == "both":
            apart = "" if not self.ours.strip() or self.theirs[:1].isspace() else " "
            return self.ours + apart + self.theirs
        return {"base": self.base, "ours": self.ours, "theirs": self.theirs}[choice]


@dataclass(frozen=True)
class TextMerge:
    """The merged text in pieces: words that are settled, and hunks that are not."""

    pieces: tuple[str | Hunk, ...]

    @property
    def conflicts(self) -> tuple[Hunk, ...]:
        """The hunks, in the order of the text."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Hunk))

    def text(self, choices: Mapping[int, Choice | Written] | None = None, *, otherwise: Choice = "ours") -> str:
        """One text, with a choice for each hunk by its number from 0; `otherwise` where there is none."""
        parts: list[str] = []
        number = 0
        for piece in self.pieces:
            if isinstance(piece, Hunk):
                part = piece.chosen((choices or {}).get(number, otherwise))
                number += 1
            else:
                part = piece
            # A hunk that was emptied at the very beginning leaves no white space behind it.
            parts.append(part if number == 0 or any(parts) else part.lstrip())
        return "".join(parts)


class _Token(NamedTuple):
    """A word of the result and its place in each source that has it."""

    text: str
    base: int | None
    ours: int | None
    theirs: int | None


class _Change(NamedTuple):
    """Words base[start:end] of one side became its words [side_start:side_end]."""

    start: int
    end: int
    side_start: int
    side_end: int
    side: Literal["ours", "theirs"]


class _Source:
    """A text as words and the white space before each of them and after the last."""

    def __init__(self, text: str) -> None:
        self.found = split_words(text)
        self.words = [word.text for word in self.found]
        ends = [0, *(word.end for word in self.found)]
        starts = [*(word.start for word in self.found), len(text)]
        self.gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]
        self.full = text
        self.starts, self.ends = starts, ends

    def slice(self, start: int, end: int) -> str:
        """Words start:end with the white space between them."""
        return self.full[self.starts[start] : self.ends[end]] if end > start else ""


def merge_text(base: str, ours: str, theirs: str, effort: Effort | None = None) -> TextMerge:
    """Merge what `ours` and `theirs` made of `base`."""
    if ours == theirs or theirs == base:
        return TextMerge((ours,) if ours else ())
    if ours == base:
        return TextMerge((theirs,) if theirs else ())
    return TextMerge(tuple(_Merger(base, ours, theirs, effort or Effort()).pieces()))


class _Merger:
    def __init__(self, base: str, ours: str, theirs: str, effort: Effort) -> None:
        self.base, self.ours, self.theirs = _Source(base), _Source(ours), _Source(theirs)
        self.to_ours = match_words(self.base.found, self.ours.found, effort)
        self.to_theirs = match_words(self.base.found, self.theirs.found, effort)

    def pieces(self) -> Iterator[str | Hunk]:
        """Settled words, joined as far as possible, and hunks between them."""
        before = _Token("", -1, -1, -1)
        hunk: Hunk | None = None
        settled: list[str] = []
        for part in [*self._parts(), _Token("", *(len(source.words) for source in self._sources()))]:
            if isinstance(part, _Token):
                settled += [self._space(before, hunk, part), part.text]
                before, hunk = part, None
                continue
            if text := "".join(settled):
                yield text
            settled, hunk = [], self._hunk(part, before, hunk)
            yield hunk
        if text := "".join(settled):
            yield text

    def _sources(self) -> tuple[_Source, _Source, _Source]:
        return self.base, self.ours, self.theirs

    def _parts(self) -> Iterator[_Token | list[_Change]]:
        """The words of the result in order; a list of changes where both sides changed the same words."""
        in_ours, in_theirs = dict(self.to_ours), dict(self.to_theirs)
        at = 0
        for group in self._groups():
            start, end = group[0].start, max(change.end for change in group)
            for index in range(at, start):
                yield _Token(self.base.words[index], index, in_ours.get(index), in_theirs.get(index))
            yield from self._group(group, start, end)
            at = end
        for index in range(at, len(self.base.words)):
            yield _Token(self.base.words[index], index, in_ours.get(index), in_theirs.get(index))

    def _groups(self) -> Iterator[list[_Change]]:
        """Changes of both sides in order; those that share words of the base, or both insert in one place, together."""
        ours = _changes(self.to_ours, len(self.base.words), len(self.ours.words), "ours")
        theirs = _changes(self.to_theirs, len(self.base.words), len(self.theirs.words), "theirs")
        group: list[_Change] = []
        start = end = -1
        for change in sorted([*ours, *theirs]):
            inserts = change.start == change.end
            inside = start < change.start < end if inserts else change.start < end
            if group and (inside or (inserts and start == end == change.start)):
                group.append(change)
                end = max(end, change.end)
                continue
            if group:
                yield group
            group, start, end = [change], change.start, change.end
        if group:
            yield group

    def _group(self, group: list[_Change], start: int, end: int) -> Iterator[_Token | list[_Change]]:
        ours, theirs = self._range(group, start, end, "ours"), self._range(group, start, end, "theirs")
        if ours is None or theirs is None:
            for index in range(*(ours or theirs or (0, 0))):
                word = (self.theirs if ours is None else self.ours).words[index]
                yield _Token(word, None, None if ours is None else index, index if ours is None else None)
        elif self.ours.words[slice(*ours)] == self.theirs.words[slice(*theirs)]:
            for index, other in zip(range(*ours), range(*theirs), strict=True):
                yield _Token(self.ours.words[index], None, index, other)
        else:
            yield group

    @staticmethod
    def _range(group: list[_Change], start: int, end: int, side: str) -> tuple[int, int] | None:
        """Which words of a side stand for base[start:end]; None when the side changed nothing there."""
        mine = [change for change in group if change.side == side]
        if not mine:
            return None
        return mine[0].side_start - (mine[0].start - start), mine[-1].side_end + (end - mine[-1].end)

    def _hunk(self, group: list[_Change], before: _Token, hunk_before: Hunk | None) -> Hunk:
        start, end = group[0].start, max(change.end for change in group)
        ours = self._range(group, start, end, "ours") or (0, 0)
        theirs = self._range(group, start, end, "theirs") or (0, 0)

        def text(source: _Source, first: int, stop: int, at: tuple[int | None, int | None, int | None]) -> str:
            if first == stop:
                return ""
            return self._space(before, hunk_before, _Token(source.words[first], *at)) + source.slice(first, stop)

        return Hunk(
            base=text(self.base, start, end, (start, None, None)),
            ours=text(self.ours, *ours, (None, ours[0], None)),
            theirs=text(self.theirs, *theirs, (None, None, theirs[0])),
        )

    def _space(self, before: _Token, hunk_before: Hunk | None, right: _Token) -> str:
        return self._gap_after_hunk(hunk_before, right) if hunk_before else self._gap(before, right)

    def _gap(self, left: _Token, right: _Token) -> str:
        """The white space between two words of the result."""
        sides = [
            source.gaps[after] if before is not None and after is not None and after == before + 1 else None
            for source, before, after in zip(self._sources(), left[1:], right[1:], strict=True)
        ]
        base, ours, theirs = sides
        if ours is not None and theirs is not None:
            if base is not None and base in (ours, theirs):
                return theirs if ours == base else ours
            return max(ours, theirs, key=_width)
        if ours is not None or theirs is not None:
            return ours if ours is not None else theirs or ""
        return self._new_gap(left, right)

    def _new_gap(self, left: _Token, right: _Token) -> str:
        """White space for two words that no source has side by side: what stood before the right one, or the left's."""
        places = list(zip(self._sources(), left[1:], right[1:], strict=True))
        before = [source.gaps[after] for source, _, after in places if after is not None]
        behind = [source.gaps[at + 1] for source, at, _ in places if at is not None]
        if left.base == -1:
            return max(behind, key=_width, default="")
        gap = max(before, key=_width, default="")
        if gap or not right.text:
            return gap
        joins = _would_join(left.text, right.text)
        return (max(behind, key=_width, default="") or " ") if joins else ""

    def _gap_after_hunk(self, hunk: Hunk, right: _Token) -> str:
        """White space before a word that follows a hunk, whichever text the hunk becomes."""
        sources = zip(self._sources(), right[1:], strict=True)
        gap = max((source.gaps[index] for source, index in sources if index is not None), key=_width, default="")
        texts = (hunk.base, hunk.ours, hunk.theirs)
        return gap or (" " if any(_would_join(text[-40:], right.text) for text in texts) else "")


def _would_join(left: str, right: str) -> bool:
    """Whether two texts side by side would run together into one word."""
    if not left.strip() or not right:
        return False
    return len(split_words(left + right)) < len(split_words(left)) + len(split_words(right))


def _changes(
    pairs: Sequence[tuple[int, int]], base_words: int, side_words: int, side: Literal["ours", "theirs"]
) -> Iterator[_Change]:
    """What stands between matching words, as changes in order."""
    base_at = side_at = 0
    for base_index, side_index in [*pairs, (base_words, side_words)]:
        if base_at < base_index or side_at < side_index:
            yield _Change(base_at, base_index, side_at, side_index, side)
        base_at, side_at = base_index + 1, side_index + 1


def _width(gap: str) -> tuple[int, int, str]:
    return gap.count("\n"), len(gap), gap
