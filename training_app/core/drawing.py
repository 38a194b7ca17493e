"""Drawing the next token: temperature, nucleus, and the inverse of the cumulative distribution at a given number.

    p = softmax(logits / temperature), kept to the smallest set with mass top_p (Holtzman et al. 2020), then
    the first token, in the order of the vocabulary, whose cumulative probability exceeds the row's number

The number comes from the row's own seed, so a row draws the same whatever is drawn beside it. Sums are in float64. Left
out: top-k, repetition penalties.
"""

from __future__ import annotations

from typing import Any

NUCLEUS = 256
"""Best tokens looked at first for a nucleus; a row whose nucleus is larger is sorted whole."""

STRETCH = 256
"""Tokens of the vocabulary summed together before the one among them is sought."""


def draw_tokens(logits: Any, numbers: Any, temperature: float, top_p: float) -> Any:
    """Draw one token a row: logits (B, V) float32, numbers (B,) in [0, 1) → tokens (B,). At temperature 0, the best."""
    import torch

    if temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits / temperature, -1)
    if top_p >= 1:
        return _at(probabilities, numbers.double())
    tokens, kept = _nucleus(probabilities, top_p)
    return tokens.gather(-1, _at(kept, numbers.double())[:, None]).squeeze(-1)


def _nucleus(probabilities: Any, top_p: float) -> tuple[Any, Any]:
    """Tokens (B, n) of each row's nucleus in the order of the vocabulary, and their probabilities (0: outside)."""
    import torch

    size = min(NUCLEUS, probabilities.shape[-1])
    best, tokens = probabilities.topk(size, -1)
    if bool((best.double().sum(-1) < top_p).any()):
        best, tokens = probabilities.sort(-1, descending=True)
    mass_before = best.double().cumsum(-1) - best
    best = torch.where(mass_before >= top_p, 0.0, best)
    tokens, order = tokens.sort(-1)
    return tokens, best.gather(-1, order)


def _at(weights: Any, numbers: Any) -> Any:
    """The place (B,) where the running sum of `weights` (B, n) exceeds the row's number of their whole sum.

    In two steps, stretches first: a running sum over a whole vocabulary costs more than the model's own last layer.
    """
    import torch

    short = -weights.shape[-1] % STRETCH
    stretches = torch.nn.functional.pad(weights, (0, short)).view(len(weights), -1, STRETCH)
    sums = stretches.sum(-1, dtype=torch.float64).cumsum(-1)
    wanted = numbers[:, None] * sums[:, -1:]
    stretch = _first_above(sums, wanted)
    before = sums.gather(-1, stretch) - stretches.sum(-1, dtype=torch.float64).gather(-1, stretch)
    inside = stretches.gather(1, stretch[..., None].expand(-1, -1, STRETCH)).squeeze(1).double().cumsum(-1)
    return (stretch * STRETCH + _first_above(inside, wanted - before)).squeeze(-1)


def _first_above(sums: Any, wanted: Any) -> Any:
    """The first place (B, 1) whose running sum exceeds `wanted` (B, 1); at most the last place that adds anything."""
    import torch

    below_all = torch.nextafter(sums[:, -1:], torch.zeros_like(sums[:, -1:]))
    return torch.searchsorted(sums, wanted.minimum(below_all), right=True)
