from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_app.core import token_tree
from training_app.core.token_tree import Block, Tree, common_length


def tree_of(*lines: tuple[int, ...]) -> Tree:
    return Tree.of(dict(enumerate(sorted(lines))))


def test_a_tree_holds_each_shared_token_once_and_every_line_as_a_path() -> None:
    lines = sorted([(1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3)])
    tree = tree_of(*lines)
    assert sorted(tree.tokens) == [1, 2, 3, 4, 5]
    sees = tree.sees()
    for number, line in enumerate(lines):
        seen = sorted((tree.depths[at], tree.tokens[at]) for at in np.flatnonzero(sees[tree.ends[number]]))
        assert tuple(token for _, token in seen) == line


def seen_in(blocks: list[Block], size: int) -> np.ndarray:
    """Who sees whom by the blocks, each pair counted."""
    pairs = np.zeros((size, size), dtype=int)
    for block in blocks:
        real = set(block.real.tolist())
        for piece, row in enumerate(block.queries):
            for at, query in enumerate(row):
                if piece * len(row) + at in real:
                    own = block.keys[piece][~block.hidden[piece, at]]
                    for key in [*block.trunk, *own]:
                        pairs[query, key] += 1
    return pairs


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30).map(tuple), min_size=1, max_size=12), st.data())
def test_blocks_show_every_token_its_ancestors_and_itself_once(
    lines: list[tuple[int, ...]], data: st.DataObject
) -> None:
    sizes = {"MIN_TRUNK": st.integers(1, 9), "MAX_PIECE": st.integers(2, 9), "MAX_SCORES": st.integers(1, 200)}
    with pytest.MonkeyPatch.context() as patch:
        for name, sizes_of in sizes.items():
            patch.setattr(token_tree, name, data.draw(sizes_of))
        tree = tree_of(*lines)
        assert (seen_in(tree.blocks(), len(tree.tokens)) == tree.sees()).all()
        only_ends = np.zeros_like(tree.sees())
        only_ends[tree.end_places] = tree.sees()[tree.end_places]
        assert (seen_in(tree.end_blocks(), len(tree.tokens)) == only_ends).all()


def test_what_many_read_is_a_trunk_and_multiplied_once() -> None:
    beginning = tuple(range(100))
    tree = tree_of(*((*beginning, *range(200 + 10 * k, 210 + 10 * k)) for k in range(8)))
    own, ends = tree.blocks()
    assert (len(own.trunk), own.queries.shape, own.keys.shape) == (0, (1, 100), (1, 100))
    assert (len(ends.trunk), ends.queries.shape, ends.keys.shape) == (100, (8, 10), (8, 10))


def test_the_common_length_of_lists() -> None:
    assert common_length((1, 2, 3), (1, 2, 4)) == 2
    assert common_length((1, 2), (1, 2, 4)) == 2
    assert common_length((), (1,)) == 0
