"""Lines of tokens with common beginnings as one tree, and the blocks in which its tokens look at each other.

A line is a root-to-token path. Each shared token stands in the tree once; a token looks at its ancestors and itself.
For attention the tree is cut into *pieces* (runs of tokens without a branch). A long path that others continue is a
*trunk*: everything behind it looks at all of it, so unmasked matrix products serve all its descendants. What a piece
sees beyond its trunk (a few tokens, itself among them) is gathered, padded and masked. Nothing else is ever multiplied:
the cost grows with the pairs of tokens that see each other, not with the square of the tree.

Plain numpy; what is left out is the model (`tree_reader.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

MIN_TRUNK = 32
"""Tokens a path must add to the trunk before it to be a trunk itself: shorter ones cost less to gather."""

MAX_PIECE = 256
"""Tokens of a piece; a longer run is cut, so that only the pairs within a piece pay for a causal mask."""

MAX_WASTE = 0.75
"""Share of the widest piece of a block that the others must have: the rest of a block is padding."""

MAX_SCORES = 90_000
"""Pairs of tokens of one block (per head): so few that scores stay in a core's cache (measured: a sixth faster)."""


@dataclass(frozen=True)
class Block:
    """Queries of n pieces behind one trunk. Places are indices into the tree's tokens.

    `trunk` (L,) is seen by all; `queries` (n, Q) and `keys` (n, W) belong to each piece, padded by repetition;
    `hidden` (n, Q, W) says which of its keys a query does not see; `real` lists the entries of n x Q that are
    no padding.
    """

    trunk: Any
    queries: Any
    keys: Any
    hidden: Any
    real: Any


@dataclass(frozen=True)
class Run:
    """Tokens without a branch: places `start` to `stop`, behind the run number `parent` (-1: none)."""

    start: int
    stop: int
    parent: int


@dataclass(frozen=True)
class Piece(Run):
    """A run that others may look at as their `trunk` (a piece's number, -1: none)."""

    trunk: int


@dataclass(frozen=True)
class Tree:
    """Tokens in the order their lines came; `parents` (-1: none) and `depths` by place; `ends` line number → place."""

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    ends: dict[int, int]

    @classmethod
    def of(cls, lines: Mapping[int, Sequence[int]]) -> Tree:
        """The tree of numbered lines, which must come in the order of their tokens; none may be empty."""
        tree = cls([], [], [], {})
        path: list[int] = []
        before: Sequence[int] = ()
        for number, ids in lines.items():
            shared = common_length(before, ids)
            first = len(tree.tokens)
            added = range(first, first + len(ids) - shared)
            tree.parents.extend([path[shared - 1] if shared else -1, *added][: len(added)])
            tree.tokens.extend(ids[shared:])
            tree.depths.extend(range(shared, len(ids)))
            path[shared:] = added
            tree.ends[number], before = path[-1], ids
        return tree

    def sees(self) -> Any:
        """(T, T) booleans: whether the row's token may look at the column's, i.e. itself and its ancestors."""
        import numpy as np

        visible = np.zeros((len(self.tokens), len(self.tokens)), dtype=bool)
        for place, parent in enumerate(self.parents):  # parents stand before their children
            if parent >= 0:
                visible[place] = visible[parent]
            visible[place, place] = True
        return visible

    @cached_property
    def end_places(self) -> list[int]:
        """The places of the ends, each once, in order."""
        return sorted(set(self.ends.values()))

    # -- blocks ------------------------------------------------------------------------------------------------------

    @cached_property
    def runs(self) -> list[Run]:
        """The tree cut where it branches and nowhere else, parents first."""
        return self._cut(len(self.tokens))

    @cached_property
    def pieces(self) -> list[Piece]:
        """The tree cut into pieces, parents first."""
        pieces: list[Piece] = []
        for run in self._cut(MAX_PIECE):
            pieces.append(Piece(run.start, run.stop, run.parent, self._trunk(pieces, run.parent)))
        return pieces

    def _cut(self, longest: int) -> list[Run]:
        """Runs of at most so many tokens."""
        children = [0] * len(self.tokens)
        for parent in self.parents:
            if parent >= 0:
                children[parent] += 1
        starts: list[int] = []
        for place, parent in enumerate(self.parents):
            is_run = place > 0 and parent == place - 1 and children[parent] == 1
            if not is_run or place - starts[-1] >= longest:
                starts.append(place)
        runs: list[Run] = []
        run_of: dict[int, int] = {}  # last place of a run → its number; a child can only hang there
        for number, (start, stop) in enumerate(zip(starts, [*starts[1:], len(self.tokens)], strict=True)):
            runs.append(Run(start, stop, run_of[self.parents[start]] if self.parents[start] >= 0 else -1))
            run_of[stop - 1] = number
        return runs

    def _trunk(self, pieces: Sequence[Piece], parent: int) -> int:
        """The trunk of a child of `parent`: the parent itself if it is long enough, else the parent's own."""
        if parent < 0:
            return -1
        above = pieces[parent].trunk
        return parent if self._end(pieces, parent) - self._end(pieces, above) >= MIN_TRUNK else above

    def _end(self, pieces: Sequence[Piece], number: int) -> int:
        return self.depths[pieces[number].stop - 1] + 1 if number >= 0 else 0

    def _path(self, number: int, above: int = -1) -> list[int]:
        """Places from behind piece `above` to the end of piece `number`, in order."""
        parts: list[range] = []
        while number != above:
            piece = self.pieces[number]
            parts.append(range(piece.start, piece.stop))
            number = piece.parent
        return [place for part in reversed(parts) for place in part]

    def blocks(self) -> list[Block]:
        """Blocks in which every token of the tree asks."""
        return self._blocks({number: list(range(p.start, p.stop)) for number, p in enumerate(self.pieces)})

    def end_blocks(self) -> list[Block]:
        """Blocks in which only the ends of lines ask: all that a model's last layer has to answer."""
        ends = self.end_places
        asking: dict[int, list[int]] = {}
        at = 0
        for number, piece in enumerate(self.pieces):
            while at < len(ends) and ends[at] < piece.stop:
                asking.setdefault(number, []).append(ends[at])
                at += 1
        return self._blocks(asking)

    def _blocks(self, asking: Mapping[int, list[int]]) -> list[Block]:
        behind: dict[int, list[tuple[list[int], list[int]]]] = {}
        for number, queries in asking.items():
            trunk = self.pieces[number].trunk
            behind.setdefault(trunk, []).append((self._path(number, trunk), queries))
        found = []
        for trunk, parts in behind.items():
            places = self._path(trunk) if trunk >= 0 else []
            found += [self._block(places, group) for group in alike(parts, len(places))]
        return found

    def _block(self, trunk: list[int], parts: Sequence[tuple[list[int], list[int]]]) -> Block:
        import numpy as np

        queries, is_real = padded([queries for _, queries in parts])
        keys, _ = padded([keys for keys, _ in parts])
        depths = np.array(self.depths)[queries] - len(trunk)  # a query's place among its own keys
        hidden = np.arange(keys.shape[1])[None, None, :] > depths[:, :, None]
        return Block(np.array(trunk, dtype=np.int64), queries, keys, hidden, np.flatnonzero(is_real))


def alike(parts: Sequence[tuple[list[int], list[int]]], trunk: int) -> list[list[tuple[list[int], list[int]]]]:
    """(keys, queries) of pieces in groups of similar widths, none with more pairs than a block may have."""
    groups: list[list[tuple[list[int], list[int]]]] = []
    for part in sorted(parts, key=lambda part: (-len(part[0]), -len(part[1]))):
        if groups and _fits(groups[-1], part, trunk):
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _fits(group: Sequence[tuple[list[int], list[int]]], part: tuple[list[int], list[int]], trunk: int) -> bool:
    keys, queries = len(group[0][0]), max(len(queries) for _, queries in group)
    narrow, wide = sorted((len(part[1]), queries))
    is_alike = len(part[0]) >= MAX_WASTE * keys and narrow >= MAX_WASTE * wide
    return is_alike and (len(group) + 1) * wide * (trunk + keys) <= MAX_SCORES


def padded(rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """(n, W) places, short rows filled with their first, and (n, W) booleans: which are no filling."""
    import numpy as np

    width = max(map(len, rows))
    places = np.array([[*row, *[row[0]] * (width - len(row))] for row in rows], dtype=np.int64)
    return places, np.arange(width)[None, :] < np.array([len(row) for row in rows])[:, None]


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning of two token lists."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))
