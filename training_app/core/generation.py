"""Drawing text from a model in batches: same job, same text, whatever is computed beside it and however often killed.

* Batches are formed once from the whole, length-sorted list (`plan_batches`), never by what is left to do.
* Every item draws its own random numbers from its own seed; a token is the inverse of the cumulative distribution at
  the item's next number (temperature and top-p applied before). So in float32 an item alone gives the same text.
* What a batch shares is computed once: the beginning all its prompts have in common (worked examples), and, where the
  prompts extend those of the batch before (a revision after its critique), everything that did not change. Nothing is
  carried over from any other batch, so that in bfloat16, too, a batch done again after a kill is the same batch.

`generator_for` chooses who computes: models of the llama family on a processor are written by `sharing`, which also
keeps every place filled, or in bfloat16 by `openvino_generation`, where that library is installed; on a GPU vLLM or
transformers' pages write (`gpu_generation`, which draws otherwise); any other model is written by `Generator` here,
through its own module. Here prompts are padded on the left and positions count real tokens only. Left out: beam search,
repetition penalties.
"""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from training_app.core.config import Sampling
from training_app.core.drawing import draw_tokens
from training_app.core.errors import NotFinite
from training_app.core.token_tree import common_length

Item = TypeVar("Item")

MIN_SHARED = 32
"""Tokens a common beginning must have before computing it apart pays."""

STOP_WINDOW = 24
"""Newest tokens looked at for a stop sequence; longer than any stop sequence."""


def seed_for(seed: int, *parts: object) -> int:
    """A 63-bit seed for one item: a pure function of the job's seed and the item's name, not of any order."""
    name = "\x1f".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def plan_batches(items: Sequence[Item], length: Callable[[Item], int], size: int) -> list[list[Item]]:
    """All items in batches of `size`, of similar length, longest first (so a batch that is too big shows at once)."""
    ordered = sorted(enumerate(items), key=lambda pair: (-length(pair[1]), pair[0]))
    return [[item for _, item in ordered[start : start + size]] for start in range(0, len(ordered), size)]


def cut_at_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first stop sequence, and whether there was one. Never cuts anywhere else."""
    found = [position for stop in stops if (position := text.find(stop)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


def without_half_stop(text: str, stops: Sequence[str]) -> str:
    """A text cut by length may end inside a stop sequence ("…\\n\\nHuman"): that beginning is no part of the answer."""
    for stop in stops:
        for size in range(len(stop) - 1, 2, -1):
            if text.endswith(stop[:size]):
                return text[:-size]
    return text


class Ending:
    """When a text is over: the model's end tokens, or a stop sequence."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.tokens = _end_tokens(model, tokenizer)

    def is_reached(self, tokens: Sequence[int], stops: Sequence[str]) -> bool:
        """Whether the newest of `tokens` ends the text."""
        if tokens[-1] in self.tokens:
            return True
        if not stops:
            return False
        return cut_at_stop(self.tokenizer.decode(tokens[-STOP_WINDOW:], skip_special_tokens=True), stops)[1]


@dataclass
class Continuation:
    """One row's new tokens while it is being written."""

    numbers: list[float]
    tokens: list[int]
    is_stopped: bool = False

    @classmethod
    def of(cls, seed: int, sampling: Sampling) -> Continuation:
        """Nothing written yet, with the random numbers of the item's own seed."""
        number = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        return cls([number.random() for _ in range(sampling.max_new_tokens)], [])

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be written: it stopped, or its numbers are used up."""
        return self.is_stopped or len(self.tokens) == len(self.numbers)

    @property
    def next_number(self) -> float:
        """The number the next token is drawn with."""
        return self.numbers[len(self.tokens)] if not self.is_over else 0.0

    def add(self, token: int, ending: Ending, stops: Sequence[str]) -> None:
        """Take the next token, unless the row is over."""
        if not self.is_over:
            self.tokens.append(token)
            self.is_stopped = ending.is_reached(self.tokens, stops)


class Writer(Protocol):
    """Who continues token lists with one model; both kinds count alike and remember the last batch."""

    computed: int
    """Prompt tokens computed so far."""
    reused: int
    """Prompt tokens that did not have to be computed: shared by several prompts, or known from the batch before."""

    def forget(self) -> None:
        """Give the memory of the last batch back."""

    def generate(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], sampling: Sampling, stops: Sequence[str]
    ) -> list[Continuation]:
        """Continue every prompt (at least one token each); returns the new tokens, end token included."""


def generator_for(model: Any, tokenizer: Any, folder: Path | None = None, *, way: str = "auto") -> Writer:
    """Who writes with this model where it stands: the fastest, or the one of `ways_for` that is named."""
    way = ways_for(model, folder)[0] if way == "auto" else way
    if way == "openvino":
        from training_app.core.openvino_generation import OpenVinoGenerator

        return OpenVinoGenerator(model, tokenizer)
    if way == "sharing":
        from training_app.core.sharing import SharingGenerator

        return SharingGenerator(model, tokenizer)
    if way == "vllm" and folder is not None:
        from training_app.core.gpu_generation import VllmWriter

        return VllmWriter(model, tokenizer, folder)
    if way == "paged":
        from training_app.core.gpu_generation import PagedWriter

        return PagedWriter(model, tokenizer)
    return Generator(model, tokenizer)


def ways_for(model: Any, folder: Path | None = None) -> list[str]:
    """All ways to write that are right for this model where it stands, the fastest first.

    On a processor the fast way for the models it computes exactly: in bfloat16 OpenVINO where it is installed, else
    torch (in float32 an item alone must give the same text, whatever else is installed). On a GPU vLLM, where it is
    installed and the model's `folder` is known, else transformers' pages. The model's own module for all others.
    """
    import torch

    from training_app.core import gpu_generation, openvino_llama
    from training_app.core.fused_llama import supports

    is_fused, is_on_gpu = supports(model), model.device.type == "cuda"
    has_openvino = is_fused and model.dtype == torch.bfloat16 and openvino_llama.is_installed()
    fits = {
        "openvino": has_openvino and openvino_llama.has_room(model),
        "sharing": is_fused,
        "vllm": is_on_gpu and folder is not None and gpu_generation.vllm_is_installed(),
        "paged": is_on_gpu and gpu_generation.can_be_paged(model),
        "module": True,
    }
    return [way for way, is_right in fits.items() if is_right]


@dataclass
class Memory:
    """What the model has read: `cache` rows with the `tokens` (B, S) they hold and which of them are `valid` (B, S)."""

    cache: Any
    tokens: Any
    valid: Any

    def row(self, index: int) -> list[int]:
        """The valid tokens of one row, in order."""
        row: list[int] = self.tokens[index][self.valid[index]].tolist()
        return row


class Remembering(ABC):
    """What both kinds of generator have in common: they count, and remember the last batch until told to `forget`."""

    _last: Any

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.ending = Ending(model, tokenizer)
        self.computed = 0
        self.reused = 0
        self._last = None

    def forget(self) -> None:
        """Give the memory of the last batch back."""
        self._last = None

    def generate(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], sampling: Sampling, stops: Sequence[str]
    ) -> list[Continuation]:
        """Continue every prompt (at least one token each); returns the new tokens, end token included."""
        import torch

        with torch.inference_mode():
            before = self.computed
            written = [Continuation.of(seed, sampling) for seed in seeds]
            self._continue(prompts, written, sampling, stops)
            self.reused += sum(map(len, prompts)) - (self.computed - before)
            return written

    def _draw(self, logits: Any, rows: Sequence[Continuation], sampling: Sampling, stops: Sequence[str]) -> list[int]:
        """The next token of every row by its logits (B, V); a row that is over gets one that nobody keeps."""
        import torch

        _refuse_nan(logits)
        numbers = torch.tensor([row.next_number for row in rows], device=logits.device)
        drawn: list[int] = draw_tokens(logits, numbers, sampling.temperature, sampling.top_p).tolist()
        for row, token in zip(rows, drawn, strict=True):
            row.add(token, self.ending, stops)
        return drawn

    @abstractmethod
    def _continue(
        self, prompts: Sequence[Sequence[int]], written: list[Continuation], sampling: Sampling, stops: Sequence[str]
    ) -> None:
        """Read the prompts, adding what had to be computed to `computed`, and write every row to its end."""


class Generator(Remembering):
    """Continues token lists through a model's own module."""

    _last: Memory | None

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__(model, tokenizer)
        self.model = model
        self.tokenizer = tokenizer

    def _continue(
        self, prompts: Sequence[Sequence[int]], written: list[Continuation], sampling: Sampling, stops: Sequence[str]
    ) -> None:
        memory, logits = self._read(prompts, sampling.max_new_tokens)
        self._last = self._write(memory, logits, written, sampling, stops)

    # -- reading prompts -----------------------------------------------------------------------------------------

    def _read(self, prompts: Sequence[Sequence[int]], max_new: int) -> tuple[Memory, Any]:
        """Compute what memory does not hold yet; returns the memory (B, S) and the next token's logits (B, V)."""
        import torch

        known = self._known(prompts)
        starts = [0] * len(prompts)
        if known is not None:
            starts = [min(common_length(known.row(row), ids), len(ids) - 1) for row, ids in enumerate(prompts)]
        rests = [list(ids[start:]) for start, ids in zip(starts, prompts, strict=True)]
        width = max(map(len, rests))
        room = (0 if known is None else known.tokens.shape[1]) + width + max_new
        pad = self.tokenizer.pad_token_id
        new_tokens = torch.tensor([[pad] * (width - len(rest)) + rest for rest in rests])
        new_valid = torch.tensor([[False] * (width - len(rest)) + [True] * len(rest) for rest in rests])
        if known is None:
            memory = Memory(_new_cache(self.model, room), new_tokens, new_valid)
        else:
            kept = known.valid & (known.valid.cumsum(1) <= torch.tensor(starts)[:, None])
            tokens, valid = torch.cat([known.tokens, new_tokens], 1), torch.cat([kept, new_valid], 1)
            memory = Memory(copy_cache_rows(known, room), tokens, valid)
        self.computed += int(new_valid.sum())
        return memory, self._forward(memory, width)

    def _known(self, prompts: Sequence[Sequence[int]]) -> Memory | None:
        """What is computed already: the last batch, where there is one, else the prompts' common beginning."""
        last, self._last = self._last, None
        if last is not None and last.tokens.shape[0] == len(prompts):
            return last
        shared = _common_of_all(prompts)
        return self._beginning(prompts[0][:shared], len(prompts)) if shared >= MIN_SHARED else None

    def _beginning(self, ids: Sequence[int], rows: int) -> Memory:
        """Compute a common beginning once; its memory as `rows` equal rows."""
        import torch

        tokens = torch.tensor([list(ids)])
        memory = Memory(_new_cache(self.model, len(ids)), tokens, torch.ones_like(tokens, dtype=torch.bool))
        self.computed += len(ids)
        self._forward(memory, len(ids))
        return Memory(memory.cache, tokens.expand(rows, -1), memory.valid.expand(rows, -1))

    def _forward(self, memory: Memory, width: int) -> Any:
        """Read the last `width` tokens of `memory`; returns the next token's logits (B, V) in float32."""
        positions = (memory.valid.cumsum(1) - 1).clamp(min=0)[:, -width:]
        device = self.model.device
        output = self.model(
            input_ids=memory.tokens[:, -width:].to(device),
            attention_mask=memory.valid.to(device),
            position_ids=positions.to(device),
            cache=memory.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()

    # -- writing -------------------------------------------------------------------------------------------------

    def _write(
        self, memory: Memory, logits: Any, rows: Sequence[Continuation], sampling: Sampling, stops: Sequence[str]
    ) -> Memory:
        """Draw token after token until every row has ended; rows that ended are dropped once they are half."""
        import torch

        whole, active = memory, list(range(len(rows)))
        for step in range(sampling.max_new_tokens):
            drawn = self._draw(logits, [rows[row] for row in active], sampling, stops)
            running = [row for row in active if not rows[row].is_stopped]
            if not running or step + 1 == sampling.max_new_tokens:
                break
            if 2 * len(running) <= len(active):
                keep = torch.tensor([active.index(row) for row in running])
                room = memory.tokens.shape[1] + sampling.max_new_tokens - step
                drawn = [drawn[index] for index in keep.tolist()]
                memory = Memory(copy_cache_rows(memory, room, keep), memory.tokens[keep], memory.valid[keep])
                active = running
            memory = Memory(
                memory.cache,
                torch.cat([memory.tokens, torch.tensor(drawn)[:, None]], 1),
                torch.cat([memory.valid, torch.tensor([[not rows[row].is_stopped] for row in active])], 1),
            )
            logits = self._forward(memory, 1)
        return memory if len(active) == len(rows) else whole


def copy_cache_rows(memory: Memory, room: int, rows: Any = None) -> Any:
    """The cache of some rows of `memory` (all of them by default) with room for `room` tokens a row."""
    import torch

    from training_app.core.kv_cache import copy_cache

    if rows is None:
        held = memory.cache.layers[0].keys.shape[0]
        wanted = memory.tokens.shape[0]
        rows = torch.arange(wanted) if held == wanted else torch.zeros(wanted, dtype=torch.long)
    return copy_cache(memory.cache, rows.to(memory.cache.layers[0].keys.device), memory.tokens.shape[1], room)


def _new_cache(model: Any, room: int) -> Any:
    from training_app.core.kv_cache import new_cache

    return new_cache(model, room)


def _refuse_nan(logits: Any) -> None:
    if logits.isnan().any():
        raise NotFinite("The model answers with numbers that are not finite.", "Choose another checkpoint.")


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    settings = getattr(model.generation_config, "eos_token_id", None)
    listed = settings if isinstance(settings, list) else [settings]
    return frozenset(token for token in [*listed, tokenizer.eos_token_id] if token is not None)


def _common_of_all(prompts: Sequence[Sequence[int]]) -> int:
    return min((common_length(prompts[0], ids) for ids in prompts[1:]), default=0)
