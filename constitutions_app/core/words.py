"""What changed between two texts, as spans of words that rebuild both texts exactly.

Words are aligned; white space follows them, so that a re-flowed paragraph shows its line ends and not every word.
Alignment is patience first (words that occur once on both sides anchor the rest, as in `git diff --patience`), then
Myers' greedy O(ND) algorithm between anchors (E. Myers, "An O(ND) Difference Algorithm", 1986). Work is bounded by
`Effort`, counted in steps and not in seconds, so that the same texts give the same answer on every machine: what is
left when it is spent is shown as replaced whole. Left out: moved sentences (shown as removed here, added there).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

SpanKind = Literal["same", "added", "removed"]

# A word with its apostrophes, one character of a script written without spaces (kana, Han), or one other sign.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+(?:['\u2019][^\W\d_]+)*|[^\w\s]"
)
_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3") | {chr(code) for code in range(0x1F3FB, 0x1F400)}
_MAX_EDITS = 400
"""Most words removed plus added that Myers' algorithm looks for in one gap between anchors."""


@dataclass(frozen=True)
class Span:
    """A piece of text that both sides share, or that only the new ("added") or the old ("removed") side has."""

    kind: SpanKind
    text: str


@dataclass
class Effort:
    """How many steps of alignment may still be taken; shared by all texts of one comparison."""

    steps: int = 2_000_000

    def spend(self, steps: int) -> bool:
        """Take `steps` away; False when they were no longer there."""
        self.steps -= steps
        return self.steps >= 0


class _Word(NamedTuple):
    text: str
    start: int
    end: int


class _Run(NamedTuple):
    """Words old[i : i + length] and new[j : j + length] are the same."""

    i: int
    j: int
    length: int


def diff_words(old: str, new: str, effort: Effort | None = None) -> tuple[Span, ...]:
    """Spans whose same and removed texts join to `old`, and whose same and added texts join to `new`."""
    if old == new:
        return (Span("same", old),) if old else ()
    lead, tail = _shared_ends(old, new)
    if lead or tail:
        inner = diff_words(old[lead : len(old) - tail], new[lead : len(new) - tail], effort)
        return tuple(_joined([Span("same", old[:lead]), *inner, Span("same", old[len(old) - tail :])]))
    old_words, new_words = split_words(old), split_words(new)
    pairs = match_words(old_words, new_words, effort)
    runs = _without_confetti(_runs(pairs), old_words, new_words)
    return tuple(_joined(_spans(old, new, old_words, new_words, runs)))


def _shared_ends(old: str, new: str) -> tuple[int, int]:
    """How many characters both texts share at their beginning and end, without cutting into a word."""
    lead = _shared(old, new)
    while lead and not old[lead - 1].isspace():
        lead -= 1
    tail = _shared(old[lead:][::-1], new[lead:][::-1])
    while tail and not old[-tail].isspace():
        tail -= 1
    return lead, tail


def match_words(old: Sequence[_Word], new: Sequence[_Word], effort: Effort | None = None) -> list[tuple[int, int]]:
    """Pairs (i, j), rising in both, of words that are the same in both texts: what a merge goes by."""
    ids: dict[str, int] = {}
    a = [ids.setdefault(word.text, len(ids)) for word in old]
    b = [ids.setdefault(word.text, len(ids)) for word in new]
    return _align(a, b, effort or Effort())


def _shared(old: str, new: str) -> int:
    """How many characters two texts begin with alike."""
    return next((at for at, (x, y) in enumerate(zip(old, new, strict=False)) if x != y), min(len(old), len(new)))


def rebuild(spans: Iterable[Span], side: Literal["old", "new"]) -> str:
    """The text of one side, put together again from its spans."""
    absent = "added" if side == "old" else "removed"
    return "".join(span.text for span in spans if span.kind != absent)


def split_words(text: str) -> list[_Word]:
    """The words and signs of a text with their places; combining marks and emoji sequences stay in one piece."""
    words = [_Word(match.group(), match.start(), match.end()) for match in _WORD.finditer(text)]
    return words if text.isascii() else _glued(words, text)


def _glued(words: list[_Word], text: str) -> list[_Word]:
    """Join what readers see as one sign or word: marks, joiners, skin tones and pairs of regional letters."""
    places: list[tuple[int, int]] = []
    for word in words:
        if places and places[-1][1] == word.start and _belongs(text, places[-1][0], word):
            places[-1] = (places[-1][0], word.end)
        else:
            places.append((word.start, word.end))
    return [_Word(text[start:end], start, end) for start, end in places]


def _belongs(text: str, start: int, word: _Word) -> bool:
    """Whether `word` continues the sign or word that began at `start` and ends where it begins."""
    first, before = word.text[0], text[word.start - 1]
    if first in _JOINERS or unicodedata.category(first).startswith("M"):
        return True
    if before == "\u200d":
        return True
    if unicodedata.category(before).startswith("M") and first.isalnum():
        return text[start].isalnum()
    is_flag_letter = 0x1F1E6 <= ord(first) <= 0x1F1FF
    return is_flag_letter and word.start - start == 1 and 0x1F1E6 <= ord(before) <= 0x1F1FF


def _align(a: Sequence[int], b: Sequence[int], effort: Effort) -> list[tuple[int, int]]:
    """Pairs (i, j), rising in both, of words that stand for each other."""
    pairs: list[tuple[int, int]] = []
    gaps = [(0, len(a), 0, len(b), 0)]
    while gaps:
        i0, i1, j0, j1, depth = gaps.pop()
        while i0 < i1 and j0 < j1 and a[i0] == b[j0]:
            pairs.append((i0, j0))
            i0, j0 = i0 + 1, j0 + 1
        while i0 < i1 and j0 < j1 and a[i1 - 1] == b[j1 - 1]:
            i1, j1 = i1 - 1, j1 - 1
            pairs.append((i1, j1))
        if i0 == i1 or j0 == j1:
            continue
        anchors = _anchors(a, b, (i0, i1, j0, j1), effort) if depth < 12 else []
        if not anchors:
            pairs.extend((i0 + i, j0 + j) for i, j in _myers(a[i0:i1], b[j0:j1], effort))
            continue
        pairs.extend(anchors)
        edges = [(i0 - 1, j0 - 1), *anchors, (i1, j1)]
        gaps.extend(
            (i + 1, next_i, j + 1, next_j, depth + 1)
            for (i, j), (next_i, next_j) in pairwise(edges)
            if i + 1 < next_i and j + 1 < next_j
        )
    return sorted(pairs)


def _anchors(
    a: Sequence[int], b: Sequence[int], gap: tuple[int, int, int, int], effort: Effort
) -> list[tuple[int, int]]:
    """Words, or failing that short phrases, that occur once on both sides, in the longest order that both share."""
    i0, i1, j0, j1 = gap
    # Phrases are for long repetitive texts only; between few words Myers' algorithm finds better pairs.
    widths = (1, 4, 16) if (i1 - i0) + (j1 - j0) > 2 * _MAX_EDITS else (1,)
    for width in widths:
        if not effort.spend((i1 - i0 + j1 - j0) * width // 4):
            return []
        once_a, once_b = _once(a, i0, i1, width), _once(b, j0, j1, width)
        shared = sorted((i, once_b[phrase]) for phrase, i in once_a.items() if phrase in once_b)
        if shared:
            kept = longest_increasing([j for _, j in shared])
            return [shared[index] for index in kept]
    return []


def _once(words: Sequence[int], start: int, end: int, width: int) -> dict[int | tuple[int, ...], int]:
    """Where each phrase of `width` words begins that occurs exactly once in words[start:end]."""
    places: dict[int | tuple[int, ...], int] = {}
    repeated: set[int | tuple[int, ...]] = set()
    for index in range(start, end - width + 1):
        phrase = words[index] if width == 1 else tuple(words[index : index + width])
        if phrase in places:
            repeated.add(phrase)
        else:
            places[phrase] = index
    return {phrase: index for phrase, index in places.items() if phrase not in repeated}


def longest_increasing(values: Sequence[int]) -> list[int]:
    """Indices of one longest strictly increasing subsequence of `values`, in O(n log n)."""
    tails: list[int] = []
    tail_indices: list[int] = []
    previous: list[int] = []
    for index, value in enumerate(values):
        place = bisect_left(tails, value)
        previous.append(tail_indices[place - 1] if place else -1)
        if place == len(tails):
            tails.append(value)
            tail_indices.append(index)
        else:
            tails[place], tail_indices[place] = value, index
    chain: list[int] = []
    at = tail_indices[-1] if tail_indices else -1
    while at >= 0:
        chain.append(at)
        at = previous[at]
    return chain[::-1]


def _myers(a: Sequence[int], b: Sequence[int], effort: Effort) -> list[tuple[int, int]]:
    """Pairs of a shortest edit script between two gaps; none when it is longer than what may be spent."""
    shared = sum((Counter(a) & Counter(b)).values())
    if not shared or len(a) + len(b) - 2 * shared > _MAX_EDITS:
        return []
    reach: dict[int, int] = {1: 0}
    history: list[dict[int, int]] = []
    for edits in range(min(len(a) + len(b), _MAX_EDITS) + 1):
        history.append(dict(reach))
        if not effort.spend(2 * edits + 2):
            return []
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
            x = reach[k + 1] if down else reach[k - 1] + 1
            y = x - k
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y = x + 1, y + 1
            reach[k] = x
            if x >= len(a) and y >= len(b):
                return _backtrack(history, len(a), len(b))
    return []


def _backtrack(history: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """Follow the furthest reaching paths back to the start and collect their diagonals."""
    pairs: list[tuple[int, int]] = []
    for edits in range(len(history) - 1, -1, -1):
        reach, k = history[edits], x - y
        down = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
        previous_k = k + 1 if down else k - 1
        previous_x = reach[previous_k]
        previous_y = previous_x - previous_k
        while x > max(previous_x, 0) and y > max(previous_y, 0):
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = previous_x, previous_y
    return pairs


def _runs(pairs: list[tuple[int, int]]) -> list[_Run]:
    """Neighbouring pairs as runs."""
    runs: list[_Run] = []
    for i, j in pairs:
        if runs and (i, j) == (runs[-1].i + runs[-1].length, runs[-1].j + runs[-1].length):
            runs[-1] = _Run(runs[-1].i, runs[-1].j, runs[-1].length + 1)
        else:
            runs.append(_Run(i, j, 1))
    return runs


def _without_confetti(runs: list[_Run], old_words: list[_Word], new_words: list[_Word]) -> list[_Run]:
    """Leave out runs that only break up a rewritten passage: short next to the changes on both of their sides."""
    kept: list[_Run] = []
    for index, run in enumerate(runs):
        before = _change_before(kept, run, old_words, new_words)
        after = _change_after(runs, index, old_words, new_words)
        if not (before and after and _is_confetti(old_words[run.i : run.i + run.length], before, after)):
            kept.append(run)
    return kept


def _is_confetti(words: list[_Word], before: int, after: int) -> bool:
    """Whether a run of words is too slight to keep between changes of `before` and `after` characters."""
    length = sum(len(word.text) for word in words)
    slight = len(words) <= 3 and all(len(word.text) <= 3 for word in words)
    return (slight and before + after >= 3 * length and min(before, after) >= 4) or 3 * length <= min(before, after)


def _change_before(kept: list[_Run], run: _Run, old_words: list[_Word], new_words: list[_Word]) -> int:
    i, j = (kept[-1].i + kept[-1].length, kept[-1].j + kept[-1].length) if kept else (0, 0)
    return max(_extent(old_words, i, run.i), _extent(new_words, j, run.j))


def _change_after(runs: list[_Run], index: int, old_words: list[_Word], new_words: list[_Word]) -> int:
    run = runs[index]
    last = index + 1 == len(runs)
    next_i = len(old_words) if last else runs[index + 1].i
    next_j = len(new_words) if last else runs[index + 1].j
    return max(_extent(old_words, run.i + run.length, next_i), _extent(new_words, run.j + run.length, next_j))


def _extent(words: list[_Word], start: int, end: int) -> int:
    """How many characters words[start:end] cover."""
    return words[end - 1].end - words[start].start if end > start else 0


def _spans(old: str, new: str, old_words: list[_Word], new_words: list[_Word], runs: list[_Run]) -> Iterator[Span]:
    """All spans in order: what stands between two matching words, then the word itself."""
    old_at = new_at = 0
    for run in runs:
        first, last = old_words[run.i], old_words[run.i + run.length - 1]
        first_new, last_new = new_words[run.j], new_words[run.j + run.length - 1]
        whole = old[first.start : last.end]
        if whole == new[first_new.start : last_new.end]:
            yield from _replaced(old[old_at : first.start], new[new_at : first_new.start])
            yield Span("same", whole)
            old_at, new_at = last.end, last_new.end
            continue
        for step in range(run.length):
            old_word, new_word = old_words[run.i + step], new_words[run.j + step]
            yield from _replaced(old[old_at : old_word.start], new[new_at : new_word.start])
            yield Span("same", old_word.text)
            old_at, new_at = old_word.end, new_word.end
    yield from _replaced(old[old_at:], new[new_at:])


def _replaced(old: str, new: str) -> Iterator[Span]:
    """Old text gives way to new text; the white space that both begin or end with stays."""
    shortest = min(len(old), len(new))
    lead = 0
    while lead < shortest and old[lead] == new[lead] and old[lead].isspace():
        lead += 1
    tail = 0
    while tail < shortest - lead and old[-1 - tail] == new[-1 - tail] and old[-1 - tail].isspace():
        tail += 1
    yield Span("same", old[:lead])
    yield Span("removed", old[lead : len(old) - tail])
    yield Span("added", new[lead : len(new) - tail])
    yield Span("same", old[len(old) - tail :])


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Neighbours of one kind as one span, empty ones left out."""
    kind: SpanKind | None = None
    texts: list[str] = []
    for span in spans:
        if not span.text:
            continue
        if span.kind != kind:
            if kind is not None:
                yield Span(kind, "".join(texts))
            kind, texts = span.kind, []
        texts.append(span.text)
    if kind is not None:
        yield Span(kind, "".join(texts))
