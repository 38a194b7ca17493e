"""Log-probabilities of a question's two options: the soft labels of AI feedback (arXiv 2212.08073, section 4.1).

    logp(option) = log P(option | prompt),   p(first) = exp(logp_first) / (exp(logp_first) + exp(logp_second))

Where the tokenizer writes both options with the same tokens but one (" (", "A" or "B", ")"), the prompt is extended to
"… (" and one forward reads both letters from one next-token distribution; what the options share cancels in p. Where
the tokenizer merges the letter with its surroundings, both options are scored whole, token by token.

Four layouts, equal to 1e-4 in float32:

* *pages*: lines with a common beginning (worked examples, conversation, responses, principle) form a tree in which each
  shared token stands once, read with OpenVINO where that is installed (`paged_reader.py`);
* *tree*: the same tree read by torch, block by block without padding (`token_tree.py`, `tree_reader.py`);
* *packed*: the same tree in one row under a mask, for models of another build and for the GPU, whose fused attention
  is fast under a mask; a token's position is its depth;
* *plain*: one row per line, padded on the left; for models with a sliding window.

Every layout reads out the last tokens of lines only. Batches are cut by tokens computed, never more than `TOKEN_BUDGET`
and than the memory measured on the first batches allows; where that fails, the batch is halved. Left out: caches that
outlive a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, pairwise
from typing import Any

from training_app.core import openvino_llama
from training_app.core.backends import OptionScore, Question
from training_app.core.errors import NotFinite, is_out_of_memory
from training_app.core.fused_llama import supports
from training_app.core.memory import free_bytes, measured
from training_app.core.paged_reader import PagedReader
from training_app.core.token_tree import Tree, common_length
from training_app.core.tree_reader import TreeReader, is_readable

TOKEN_BUDGET = 4096
"""Tokens of one forward, padding included."""

MEMORY_SHARE = 0.5
"""Share of the free memory that one batch may take at its peak."""

REACH_PER_WIDTH = 2.4
"""Attended tokens that cost as much as one token's matrices, per unit of the model's width, in the packed layout.

By counting, a layer spends 24 d² on a token's matrices and 4 d on each token it attends to, so 6 d; attention under a
mask reaches 0.4 of the speed of plain matrix products (measured on a 135M model), hence 2.4 d.
"""


Encode = Callable[[Sequence[str]], list[list[int]]]
"""Texts → the tokens of each: all at once, since a fast tokenizer works on many at a time."""


@dataclass(frozen=True)
class Line:
    """Tokens to read, and the tokens whose log-probability behind them is wanted."""

    ids: tuple[int, ...]
    wanted: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """How one question is answered: the log-probability of each option is a sum over (line, place in its wanted)."""

    lines: tuple[Line, ...]
    first: tuple[tuple[int, int], ...]
    second: tuple[tuple[int, int], ...]


def plan_question(prompt: Callable[[], Sequence[int]], first: Sequence[int], second: Sequence[int]) -> Plan:
    """Plan from the tokens of the prompt (asked for only where needed) and of prompt + first and + second option."""
    fork = common_length(first, second)
    if fork < min(len(first), len(second)) and first[fork + 1 :] == second[fork + 1 :]:
        return Plan((Line(tuple(first[:fork]), (first[fork], second[fork])),), ((0, 0),), ((0, 1),))
    start = min(common_length(prompt(), first), common_length(prompt(), second))
    lines = [Line(tuple(ids[:at]), (ids[at],)) for ids in (first, second) for at in range(start, len(ids))]
    places = [(index, 0) for index in range(len(lines))]
    return Plan(tuple(lines), tuple(places[: len(first) - start]), tuple(places[len(first) - start :]))


class Scorer:
    """Scores questions with one model, in the layout that suits it unless one is named.

    `computed` counts the tokens it had to read, a shared one once; `notify` gets a sentence when memory was short.
    """

    def __init__(
        self,
        model: Any,
        *,
        layout: str = "auto",
        token_budget: int = TOKEN_BUDGET,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.model = model
        self.layout = layout_for(model) if layout == "auto" else layout
        self.token_budget = token_budget
        self.computed = 0
        self._notify = notify
        self._reach = REACH_PER_WIDTH * model.config.get_text_config().hidden_size

    @property
    def engine(self) -> str:
        """The engine that reads, where it is not torch."""
        return openvino_llama.version() if self.layout == "pages" else ""

    @property
    def _reads_trees(self) -> bool:
        return self.layout in ("pages", "tree")

    @cached_property
    def _reader(self) -> TreeReader | PagedReader:
        return PagedReader(self.model) if self.layout == "pages" else TreeReader(self.model)

    def score(self, questions: Sequence[Question], encode: Encode) -> list[OptionScore]:
        """Log-probabilities of both options of each question. Raises NotFinite when the model gives NaN."""
        encoded = iter(encode([question.prompt + option for question in questions for option in question.options]))
        plans = [plan_question(partial(prompt_of, question, encode), *islice(encoded, 2)) for question in questions]
        found = iter(self.score_lines([line for plan in plans for line in plan.lines]))
        scores = []
        for plan in plans:
            values = [next(found) for _ in plan.lines]
            first, second = (sum(values[line][place] for line, place in option) for option in (plan.first, plan.second))
            if math.isnan(first) or math.isnan(second):
                raise NotFinite("The judge answers with numbers that are not finite.", "Choose another model.")
            scores.append(OptionScore(first, second))
        return scores

    def score_lines(self, lines: Sequence[Line]) -> list[list[float]]:
        """For each line the log-probability of each of its wanted tokens, in the order given."""
        results: list[list[float]] = [[] for _ in lines]
        if self._reads_trees:
            _ = self._reader  # made ready here, so that its memory is not taken for that of a batch
        waiting = list(range(len(lines)))
        if self.layout == "plain":
            waiting.sort(key=lambda number: -len(lines[number].ids))
        else:
            waiting.sort(key=lambda number: lines[number].ids)
        while waiting:
            batch, tokens = self._next_batch(lines, waiting)
            try:
                with measured(self.model.device) as taken:
                    logits = self._read(lines, batch)
                    found = picked(logits, [lines[number].wanted for number in batch])
            except (RuntimeError, MemoryError) as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                self._lower(tokens // 2, f"A batch of {tokens} tokens did not fit in memory")
                continue
            self.computed += tokens
            for number, values in zip(batch, found, strict=True):
                results[number] = values
            waiting = waiting[len(batch) :]
            self._keep_within_memory(tokens, taken.bytes)
        return results

    def _next_batch(self, lines: Sequence[Line], waiting: Sequence[int]) -> tuple[list[int], int]:
        """The first of the waiting lines that are read together, and how many tokens that takes."""
        if self.layout == "plain":
            return first_padded(lines, waiting, self.token_budget)
        return first_tree(lines, waiting, self.token_budget, math.inf if self._reads_trees else self._reach)

    def _keep_within_memory(self, tokens: int, taken: int) -> None:
        allowed = MEMORY_SHARE * free_bytes(self.model.device)
        if taken * self.token_budget > allowed * tokens:
            self._lower(int(allowed / taken * tokens), f"A batch of {self.token_budget} tokens would not fit in memory")

    def _lower(self, budget: int, why: str) -> None:
        self.token_budget = max(1, min(budget, self.token_budget))
        self._notify(f"{why}; from here on {self.token_budget} are read at once.")

    # -- reading: logits (E, V) behind the last tokens of a batch, in its order ----------------------------------------

    def _read(self, lines: Sequence[Line], batch: Sequence[int]) -> Any:
        import torch

        with torch.inference_mode():
            if self.layout == "plain":
                return self._padded([lines[number].ids for number in batch])
            tree = Tree.of({number: lines[number].ids for number in batch})
            wanted = [token for number in batch for token in lines[number].wanted]
            logits = self._reader.logits(tree, wanted) if self._reads_trees else self._masked(tree)
            row_of = {place: row for row, place in enumerate(tree.end_places)}
            return logits[[row_of[tree.ends[number]] for number in batch]]

    def _masked(self, tree: Tree) -> Any:
        """The tree in one row under a mask."""
        import torch

        hidden = ~torch.from_numpy(tree.sees())
        mask = torch.zeros(hidden.shape, dtype=self.model.dtype).masked_fill_(hidden, -math.inf)
        ids, positions = torch.tensor([tree.tokens]), torch.tensor([tree.depths])
        return self._forward(ids, mask[None, None], positions, torch.tensor(tree.end_places))[0]

    def _padded(self, rows: Sequence[Sequence[int]]) -> Any:
        """Causal rows, padded on the left."""
        import torch

        width = max(map(len, rows))
        ids = torch.tensor([[*[0] * (width - len(row)), *row] for row in rows])
        seen = torch.tensor([[*[0] * (width - len(row)), *[1] * len(row)] for row in rows])
        positions = (seen.cumsum(1) - 1).clamp(min=0)
        return self._forward(ids, seen, positions, 1)[:, -1]

    def _forward(self, ids: Any, mask: Any, positions: Any, keep: Any) -> Any:
        """Logits (B, E, V) of the model's own forward, at the places `keep` (a number: that many last ones)."""
        device = self.model.device
        return self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            use_cache=False,
            logits_to_keep=keep if isinstance(keep, int) else keep.to(device),
        ).logits


def prompt_of(question: Question, encode: Encode) -> list[int]:
    """The tokens of a question's prompt alone."""
    return encode([question.prompt])[0]


def layout_for(model: Any) -> str:
    """The fastest layout that is right for this model where it stands."""
    return layouts_for(model)[0]


def layouts_for(model: Any) -> list[str]:
    """All layouts that are right for this model where it stands, the fastest first."""
    has_pages = supports(model) and openvino_llama.is_installed() and openvino_llama.has_room(model)
    is_sliding = bool(getattr(model.config.get_text_config(), "sliding_window", None))
    fits = {
        "pages": has_pages,
        "tree": model.device.type == "cpu" and not is_sliding and is_readable(model),
        "packed": not is_sliding,
        "plain": True,
    }
    return [layout for layout, is_right in fits.items() if is_right]


def picked(logits: Any, wanted: Sequence[Sequence[int]]) -> list[list[float]]:
    """Log-probabilities of each row's wanted tokens from logits (E, V)."""
    import torch

    with torch.inference_mode():
        wide = logits.float()
        norms = wide.logsumexp(-1).tolist()
        return [
            [value - norm for value in wide[row, list(tokens)].tolist()]
            for row, (tokens, norm) in enumerate(zip(wanted, norms, strict=True))
        ]


# -- batches -----------------------------------------------------------------------------------------------------------


def first_padded(lines: Sequence[Line], waiting: Sequence[int], budget: int) -> tuple[list[int], int]:
    """The first lines that fit `budget` tokens, padding included (at least one), and their tokens."""
    width, count = 0, 0
    for number in waiting:
        wider = max(width, len(lines[number].ids))
        if count and wider * (count + 1) > budget:
            break
        width, count = wider, count + 1
    return list(waiting[:count]), width * count


def first_tree(lines: Sequence[Line], waiting: Sequence[int], budget: int, reach: float) -> tuple[list[int], int]:
    """The first lines (sorted by tokens) whose tree fits `budget` tokens (at least one), and the tree's tokens.

    A tree of w tokens costs w for the matrices and w² / `reach` for attention under a mask; lines join as long as that
    is cheaper than reading them apart. Where the budget ends the tree, it is cut where the least is shared, so that a
    comparison is not read in two halves.
    """

    def cost(width: int) -> float:
        return width + width * width / reach

    widths, shared = [len(lines[waiting[0]].ids)], [0]
    for before, number in pairwise(waiting):
        ids = lines[number].ids
        common = common_length(lines[before].ids, ids)
        joined = widths[-1] + len(ids) - common
        if cost(joined) > cost(widths[-1]) + cost(len(ids)):
            break
        if joined > budget:
            cuts = [count for count in range(1, len(widths)) if widths[count - 1] >= budget // 2]
            least = min([*cuts, len(widths)], key=lambda count: ([*shared, common][count], -count))
            return list(waiting[:least]), widths[least - 1]
        widths.append(joined)
        shared.append(common)
    return list(waiting[: len(widths)]), widths[-1]
