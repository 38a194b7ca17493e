"""Short examples side by side in one row, so that little of a batch is padding (arXiv 2107.02027, "packing").

A row holds several examples one after another. Positions start at 0 with each of them and no attention mask is given:
from restarting positions transformers makes a mask that is causal inside an example and closed between two. The first
token of an example has no label, because nothing of its own stands before it. The padding of a row is one more example
of its own. The loss is the mean over the same tokens as without packing; only which examples share a batch differs.

What is left out: cutting examples to fill a row, and kernels for rows of variable length (flash attention).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training_app.core.formatting import Encoded

IGNORED = -100
"""The label of a token that is not learnt."""


def pack(rows: Sequence[Encoded], room: int) -> list[list[Encoded]]:
    """Rows of examples with at most `room` tokens each: the longest first, each into the first row that has room."""
    packed: list[list[Encoded]] = []
    left: list[int] = []
    for example in sorted(rows, key=lambda one: -len(one.ids)):
        length = min(len(example.ids), room)
        place = next((place for place, space in enumerate(left) if space >= length), None)
        if place is None:
            packed.append([])
            left.append(room)
            place = len(packed) - 1
        packed[place].append(example)
        left[place] -= length
    return packed


def columns(packed: Sequence[Sequence[Encoded]], room: int, *, answers_only: bool) -> list[dict[str, list[int]]]:
    """What a trainer reads: tokens, labels, and the length of each example in a row."""
    found = []
    for row in packed:
        examples = [list(one.ids[:room]) for one in row]
        learnt = [one.answer_mask if answers_only else [1] * len(one.ids) for one in row]
        labels = [
            [IGNORED, *(token if is_learnt else IGNORED for token, is_learnt in list(zip(ids, mask, strict=False))[1:])]
            for ids, mask in zip(examples, learnt, strict=True)
        ]
        found.append({
            "input_ids": [token for ids in examples for token in ids],
            "labels": [label for part in labels for label in part],
            "seq_lengths": [len(ids) for ids in examples],
        })  # fmt: skip
    return found


def collate(examples: Sequence[dict[str, list[int]]], pad: int) -> dict[str, Any]:
    """A batch (B, T) of packed rows: tokens, labels, restarting positions, and how many tokens are no padding."""
    import torch

    width = max(len(example["input_ids"]) for example in examples)
    ids, labels, positions = [], [], []
    for example in examples:
        short = width - len(example["input_ids"])
        ids.append([*example["input_ids"], *[pad] * short])
        labels.append([*example["labels"], *[IGNORED] * short])
        lengths = [*example["seq_lengths"], short]
        positions.append([position for length in lengths for position in range(length)])
    return {
        "input_ids": torch.tensor(ids),
        "labels": torch.tensor(labels),
        "position_ids": torch.tensor(positions),
        "tokens": torch.tensor(sum(len(example["input_ids"]) for example in examples)),
    }
