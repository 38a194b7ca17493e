"""Reads a token tree with OpenVINO's arithmetic: what `tree_reader.py` computes, with keys and values in pages.

The tree is cut into rows: each goes on where the row above it ended. What stands in full pages is shared by naming the
pages; of the page in which rows part, every row gets a copy, so no token is read again for want of a page's edge. Rows
at the same distance from the root are read together, one level after the other. A few tokens that few rows share are
read by each of these rows: a level of its own would cost more than that.

Pages live for one tree; nothing is carried over to another. Left out: models that `fused_llama.supports` does not name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from training_app.core.openvino_llama import PagedLlama, Reading
from training_app.core.token_tree import Tree
from training_app.core.tree_reader import logits_behind

READING = 4096
"""Tokens read at a time, over all rows of a level."""

NOT_WORTH = 32
"""Tokens that may be read twice so that a level can be left out: about what a level costs by itself (measured)."""


@dataclass(frozen=True)
class Row:
    """Places of the tree's tokens in order; the row `above` (its number, -1: none) holds what comes before."""

    places: list[int]
    above: int
    level: int


class PagedReader:
    """One model, compiled."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._paged = PagedLlama(model, head=False)

    def logits(self, tree: Tree, wanted: Sequence[int]) -> Any:
        """Logits (E, V) behind the places `tree.end_places`, those of the tokens `wanted` computed in float32."""
        return logits_behind(self.model, self.read(tree), wanted)

    def read(self, tree: Tree) -> Any:
        """The final hidden states (E, D), in float32, behind the places `tree.end_places`."""
        import torch

        model = self._paged
        rows = rows_of(tree)
        starts = [tree.depths[row.places[0]] for row in rows]
        pages, copies = paged(rows, starts, model.page)
        model.make_room(1 + max(page for row in pages for page in row))
        ends = set(tree.end_places)
        states: dict[int, Any] = {}
        for part in parts_of(rows):
            if moved := [copies[number] for number in part if number in copies]:
                model.copy_pages(*zip(*moved, strict=True))
            places = [place for number in part for place in rows[number].places]
            at = {place: number for number, place in enumerate(places) if place in ends and place not in states}
            new = [[tree.tokens[place] for place in rows[number].places] for number in part]
            before = [starts[number] for number in part]
            answers = model.read(Reading(new, before, [pages[number] for number in part], list(at.values()) or [0]))
            states.update(zip(at, answers, strict=False))
        with torch.inference_mode():
            return self.model.model.norm(torch.stack([states[place] for place in tree.end_places]))


# -- rows --------------------------------------------------------------------------------------------------------------


def rows_of(tree: Tree) -> list[Row]:
    """The tree as rows, those above first."""
    runs, children = tree.runs, [0] * len(tree.runs)
    for run in runs:
        if run.parent >= 0:
            children[run.parent] += 1
    rows: list[Row] = []
    row_of: list[int] = []  # run → the row that holds its end; for a run that its children read, the row above
    to_read: list[list[int]] = []  # run → what its children have to read themselves
    for number, run in enumerate(runs):
        above = row_of[run.parent] if run.parent >= 0 else -1
        places = [*(to_read[run.parent] if run.parent >= 0 else ()), *range(run.start, run.stop)]
        if 0 < (children[number] - 1) * len(places) <= NOT_WORTH:
            row_of.append(above)
            to_read.append(places)
            continue
        row_of.append(len(rows))
        to_read.append([])
        rows.append(Row(places, above, rows[above].level + 1 if above >= 0 else 0))
    return rows


def parts_of(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Numbers of the rows read together, level by level, at most `READING` tokens (or one row) at a time."""
    part: list[int] = []
    tokens = 0
    for number in sorted(range(len(rows)), key=lambda number: rows[number].level):
        length = len(rows[number].places)
        if part and (rows[number].level != rows[part[0]].level or tokens + length > READING):
            yield part
            part, tokens = [], 0
        part.append(number)
        tokens += length
    yield part


def paged(rows: Sequence[Row], starts: Sequence[int], page: int) -> tuple[list[list[int]], dict[int, tuple[int, int]]]:
    """The pages of each row from the root on; of rows that begin within a page, that page above and its copy."""
    free = count()
    pages: list[list[int]] = []
    copies: dict[int, tuple[int, int]] = {}
    for number, (row, start) in enumerate(zip(rows, starts, strict=True)):
        above = pages[row.above] if row.above >= 0 else []
        shared = above[: start // page]
        own = -(-(start + len(row.places)) // page) - len(shared)
        pages.append([*shared, *(next(free) for _ in range(own))])
        if start % page:
            copies[number] = above[start // page], pages[number][start // page]
    return pages, copies
