"""The first batch of a training stage as tokens: what the model really reads, and which tokens it learns from.

Recorded once, from the very tensors the trainer is about to use, so that a template gone wrong, a cut answer or a loss
on the prompt is seen in the first minute. Which tokens carry loss: those with a label (SFT), those of the answers
(DPO), those the policy drew (RL), the last of each text (reward model, whose score is read there). What is left out:
all but the first rows and tokens of a large batch, and padding. Of packed rows, which have no mask, it is told by the
lengths of their examples, which also say where one ends and the next, blind to it, begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from training_app.core.events import EventLog

if TYPE_CHECKING:
    from torch import Tensor

RECORD, KEY = "first_batch", "first"
MOST_ROWS = 4
MOST_TOKENS = 512
NO_LABEL = -100
"""What torch's cross entropy passes over."""


def watch_first_batch(trainer: Any, events: EventLog) -> None:
    """Record what the trainer's collator makes the first time it is asked; later batches cost nothing.

    A trainer that draws its batches itself (GRPO, RLOO) collates nothing: its first loss is watched instead.
    """
    if events.has(RECORD, KEY):
        return
    collator = trainer.data_collator
    if _collates_nothing(collator):
        _watch_first_loss(trainer, events)
        return
    # TRL's collators are objects that are asked by other ways too; that of packing is a plain function.
    place, name = (collator, "torch_call") if hasattr(collator, "torch_call") else (trainer, "data_collator")
    collate: Callable[[list[dict[str, Any]]], dict[str, Any]] = getattr(place, name)
    is_first = True

    def once(examples: list[dict[str, Any]]) -> dict[str, Any]:
        nonlocal is_first
        batch = collate(examples)
        if is_first:
            is_first = False
            tokenizer = trainer.processing_class
            lengths = [one["seq_lengths"] for one in examples if "seq_lengths" in one]
            rows = rows_of(batch, lambda token: str(tokenizer.decode([token])), lengths)
            events.record(RECORD, KEY, {"rows": rows})
        return batch

    setattr(place, name, once)


def _collates_nothing(collator: Any) -> bool:
    from trl.trainer.utils import identity

    return collator is identity


def _watch_first_loss(trainer: Any, events: EventLog) -> None:
    compute = trainer.compute_loss

    def once(model: Any, inputs: Mapping[str, Tensor], *others: Any, **named: Any) -> Any:
        import torch

        trainer.compute_loss = compute
        ids, mask = (
            torch.cat([inputs[f"prompt_{kind}"], inputs[f"completion_{kind}"]], dim=1) for kind in ("ids", "mask")
        )
        record_drawn(events, trainer.processing_class, ids, mask, width=inputs["completion_ids"].shape[1])
        return compute(model, inputs, *others, **named)

    trainer.compute_loss = once


def record_drawn(events: EventLog, tokenizer: Any, ids: Tensor, mask: Tensor, *, width: int) -> None:
    """Record the first batch of RL: prompts and the answers drawn to them, `width` tokens at the end of each row.

    `ids` and `mask` are (B, P + T), the mask 1 for what is no padding; a batch recorded before is not touched.
    """
    drawn = mask.clone()
    drawn[:, : ids.shape[1] - width] = 0
    batch = {"input_ids": ids, "attention_mask": mask, "completion_mask": drawn}
    events.record(RECORD, KEY, {"rows": rows_of(batch, lambda token: str(tokenizer.decode([token])))})


def rows_of(
    batch: Mapping[str, Any], text_of: Callable[[int], str], packed: Sequence[Sequence[int]] = ()
) -> list[dict[str, Any]]:
    """The batch's rows as ``{"tokens": [texts], "learnt": "0011", "left_out": tokens not listed}``, without padding.

    `batch` holds ``input_ids`` (B, T), and of the same shape ``attention_mask``, ``labels`` or ``completion_mask``.
    `packed` are the lengths of the examples in each row, where rows hold several: the row then says where each of those
    that are listed begins, as ``"starts": [0, 31]``.
    """
    ids = batch["input_ids"].tolist()
    rows = []
    for place in range(min(len(ids), MOST_ROWS)):
        lengths = packed[place] if packed else ()
        kept = [*range(sum(lengths))] if packed else _present(batch, place)
        learnt = _learnt(batch, place, kept)
        row = {
            "tokens": [text_of(ids[place][index]) for index in kept[:MOST_TOKENS]],
            "learnt": "".join("1" if index in learnt else "0" for index in kept[:MOST_TOKENS]),
            "left_out": max(0, len(kept) - MOST_TOKENS),
        }
        starts = accumulate(lengths[:-1], initial=0)
        rows.append(row | ({"starts": [start for start in starts if start < MOST_TOKENS]} if packed else {}))
    return rows


def _present(batch: Mapping[str, Any], place: int) -> list[int]:
    """Places of a row that are no padding, as its mask says."""
    if "attention_mask" not in batch:
        return [*range(len(batch["input_ids"][place]))]
    return [index for index, there in enumerate(batch["attention_mask"][place].tolist()) if there]


def _learnt(batch: Mapping[str, Any], place: int, kept: Sequence[int]) -> frozenset[int]:
    """Places of the tokens that carry loss."""
    if "labels" in batch:
        return frozenset(index for index in kept if batch["labels"][place][index].item() != NO_LABEL)
    if "completion_mask" in batch:
        return frozenset(index for index in kept if batch["completion_mask"][place][index].item())
    return frozenset(kept[-1:])
