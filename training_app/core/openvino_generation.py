"""Writing on a processor with OpenVINO: the fastest way there, where the extra `openvino` is installed.

* Keys and values stand in pages of a few tokens. A full page is known by the page before it and its tokens, so prompts
  that begin alike name the same pages, and each page is read once.
* At most `places` rows are written at a time; whenever one ends, the next takes its place in the very next step. Who
  comes next is decided by the order of the batch alone.
* Prompts that extend those of the batch before (a revision after its critique) find its pages; pages that the new batch
  does not begin with are given back. Nothing is carried over from any other batch.

What is drawn, from whose random numbers, and when a row ends is `generation`'s business, as everywhere. Used in
bfloat16, where the batch is what can be done again; in float32 `sharing` writes, whose single item gives the same text.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core.config import Sampling
from training_app.core.generation import Continuation, Remembering
from training_app.core.openvino_llama import PagedLlama, Reading, version

PLACES = 64
"""Rows written at a time: from here on a step costs nearly as much more as it has more rows."""

READING = 4096
"""Tokens read at a time over all rows."""

Known = dict[tuple[int, tuple[int, ...]], int]
"""(page before, -1: none; its tokens) → page."""


@dataclass
class Row:
    """One text: its tokens, of which the first `prompt` were given; the pages it may fill; how many tokens these hold.

    It reads nothing before the rows it `waits_for`, which read pages it shares with them.
    """

    text: Continuation
    tokens: list[int]
    prompt: int
    pages: list[int]
    held: int
    waits_for: list[Row]

    @property
    def is_read(self) -> bool:
        """Whether the whole prompt has been read."""
        return self.held >= self.prompt

    @property
    def is_ready(self) -> bool:
        """Whether what it shares has been read."""
        return all(row.is_read for row in self.waits_for)


class OpenVinoGenerator(Remembering):
    """Continues token lists with a model `fused_llama.supports`, compiled when it is first asked to write."""

    _last: Known | None

    def __init__(self, model: Any, tokenizer: Any, *, places: int = PLACES) -> None:
        super().__init__(model, tokenizer)
        self._source = model
        self._compiled: PagedLlama | None = None
        self.places = places

    @property
    def engine(self) -> str:
        """Name and version, recorded with what it writes."""
        return version()

    def _continue(
        self, prompts: Sequence[Sequence[int]], written: list[Continuation], sampling: Sampling, stops: Sequence[str]
    ) -> None:
        last, self._last = self._last or {}, None
        model = self._compiled = self._compiled or PagedLlama(self._source)
        known, rows = placed(prompts, written, last, model.page, sampling.max_new_tokens)
        pages = 1 + max(max(row.pages) for row in rows)
        model.make_room(pages)
        self.computed += sum(row.prompt - row.held for row in rows)
        while todo := [row for row in rows if not row.is_read]:
            self._read(model, [row for row in todo if row.is_ready], sampling, stops)
        waiting = (row for row in rows if not row.text.is_over)
        active = list(itertools.islice(waiting, self.places))
        while active:
            self._read(model, active, sampling, stops)
            active = [row for row in active if not row.text.is_over]
            active += itertools.islice(waiting, self.places - len(active))
        remember(known, rows, model.page)
        self._last = known

    def _read(self, model: PagedLlama, rows: Sequence[Row], sampling: Sampling, stops: Sequence[str]) -> None:
        """Read what these rows have not read yet, `READING` tokens in all; those at their end get their next token."""
        parts = list(shared_out(rows))
        new = [row.tokens[row.held : row.held + count] for row, count in parts]
        logits = model.read(Reading(new, [row.held for row, _ in parts], [row.pages for row, _ in parts]))
        for row, count in parts:
            row.held += count
        done = [place for place, (row, _) in enumerate(parts) if row.held == len(row.tokens)]
        drawn = self._draw(logits[done], [parts[place][0].text for place in done], sampling, stops)
        for place, token in zip(done, drawn, strict=True):
            parts[place][0].tokens.append(token)


def shared_out(rows: Sequence[Row]) -> Iterator[tuple[Row, int]]:
    """Rows in order with how many of their tokens are read next, until `READING` tokens are given away."""
    left = READING
    for row in rows:
        count = min(len(row.tokens) - row.held, left)
        if not count:
            return
        left -= count
        yield row, count


# -- pages -------------------------------------------------------------------------------------------------------------


def placed(
    prompts: Sequence[Sequence[int]], written: Sequence[Continuation], last: Known, page: int, max_new: int
) -> tuple[Known, list[Row]]:
    """A row with all its pages for every prompt, and what is known of pages once the prompts are read.

    A prompt's last token is never shared, because what follows it has to be computed. Pages of `last` that no prompt
    begins with are given away.
    """
    used = {number for ids in prompts for number in known_beginning(last, ids, page)}
    known = {key: number for key, number in last.items() if number in used}
    free = (number for number in itertools.count() if number not in used)
    readers: dict[int, Row] = {}
    rows: list[Row] = []
    for ids, text in zip(prompts, written, strict=True):
        row = Row(text, list(ids), len(ids), [], 0, [])
        for key in keys_of(row, 0, (len(ids) - 1) // page, page):
            if key in known:
                row.held += page
                reader = readers.get(known[key])
                if reader is not None and reader not in row.waits_for:
                    row.waits_for.append(reader)
            else:
                known[key] = next(free)
                readers[known[key]] = row
            row.pages.append(known[key])
        row.pages += itertools.islice(free, -(-(len(ids) + max_new) // page) - len(row.pages))
        rows.append(row)
    return known, rows


def known_beginning(known: Known, ids: Sequence[int], page: int) -> Iterator[int]:
    """The known pages that a prompt begins with."""
    before = -1
    for start in range(0, len(ids) - page, page):
        found = known.get((before, tuple(ids[start : start + page])))
        if found is None:
            return
        yield found
        before = found


def keys_of(row: Row, start: int, stop: int, page: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The keys of a row's pages from number `start` to `stop`; each names the page that stands before it by then."""
    for number in range(start, stop):
        yield row.pages[number - 1] if number else -1, tuple(row.tokens[number * page : (number + 1) * page])


def remember(known: Known, rows: Sequence[Row], page: int) -> None:
    """Add the pages that the rows filled with what they wrote."""
    for row in rows:
        first = (row.prompt - 1) // page
        for number, key in enumerate(keys_of(row, first, row.held // page, page), first):
            row.pages[number] = known.setdefault(key, row.pages[number])
