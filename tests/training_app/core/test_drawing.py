from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training_app.core.drawing import draw_tokens


def plainly(logits: torch.Tensor, number: float, temperature: float, top_p: float) -> int:
    """What `draw_tokens` says in its docstring, one row at a time and without a shortcut."""
    weights = torch.softmax(logits / temperature, -1).double()
    order = weights.sort(descending=True).indices.tolist()
    kept, mass = set(), 0.0
    for token in order:
        if mass >= top_p:
            break
        kept.add(token)
        mass += float(weights[token])
    total = sum(float(weights[token]) for token in kept)
    running = 0.0
    for token in range(len(weights)):
        if token in kept:
            running += float(weights[token])
            if running > number * total:
                return token
    raise AssertionError("unreachable: the numbers are below one")


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.3, 1.0]), st.sampled_from([0.2, 0.9, 1.0]))
def test_the_short_way_draws_what_the_plain_way_draws(seed: int, temperature: float, top_p: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 700, generator=generator) * (1 + seed % 5)
    numbers = torch.rand(4, generator=generator)
    expected = [plainly(row, float(number), temperature, top_p) for row, number in zip(logits, numbers, strict=True)]
    assert draw_tokens(logits, numbers, temperature, top_p).tolist() == expected


@pytest.mark.parametrize("top_p", [0.95, 1.0])
def test_a_row_draws_the_same_whatever_is_drawn_beside_it(top_p: float) -> None:
    generator = torch.Generator().manual_seed(3)
    flat, sharp = torch.zeros(1, 3000), torch.randn(1, 3000, generator=generator) * 9
    numbers = torch.rand(2, generator=generator)
    together = draw_tokens(torch.cat([flat, sharp]), numbers, 1.0, top_p)  # the flat row's nucleus is 2,850 tokens
    assert together[1] == draw_tokens(sharp, numbers[1:], 1.0, top_p)[0]
    assert together[0] == draw_tokens(flat, numbers[:1], 1.0, top_p)[0]
