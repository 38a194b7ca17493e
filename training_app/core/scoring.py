"""Log-probabilities of a question's two options: the soft labels of AI feedback (arXiv 2212.08073, section 4.1).

    logp(option) = log P(option | prompt),   p(first) = exp(logp_first) / (exp(logp_first) + exp(logp_second))

Where the tokenizer writes both options with the same tokens but one (" (", "A" or "B", ")"), the prompt is extended to
"… (" and one forward reads both letters from one next-token distribution; what the options share cancels in p. Where
the tokenizer merges the letter with its surroundings, both options are scored whole, token by token.

Two layouts, equal to 1e-4 in float32:

* *plain*: one row per line of tokens, padded on the left;
* *packed*: lines with a common beginning (conversation, principle) form a tree in one row, so each shared token is
  computed once. A token sees its ancestors (a mask), its position is its depth in the tree, and the last token of every
  line stands at the end of the row, so that only those logits are computed.

Rows are batched by a budget of tokens, longest first. Left out: models with a sliding window are scored plain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core.backends import OptionScore, Question
from training_app.core.errors import NotFinite

TOKEN_BUDGET = 4096
"""Tokens of one forward, padding included."""

MIN_SHARED = 0.2
"""Share of a line that must already stand in the row for the line to join it rather than begin a row of its own."""


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


def plan_question(prompt: Sequence[int], first: Sequence[int], second: Sequence[int]) -> Plan:
    """Plan from the tokens of the prompt, of prompt + first option and of prompt + second option."""
    fork = common_length(first, second)
    if fork < min(len(first), len(second)) and first[fork + 1 :] == second[fork + 1 :]:
        return Plan((Line(tuple(first[:fork]), (first[fork], second[fork])),), ((0, 0),), ((0, 1),))
    start = min(common_length(prompt, first), common_length(prompt, second))
    lines = [Line(tuple(ids[:at]), (ids[at],)) for ids in (first, second) for at in range(start, len(ids))]
    places = [(index, 0) for index in range(len(lines))]
    return Plan(tuple(lines), tuple(places[: len(first) - start]), tuple(places[len(first) - start :]))


class Scorer:
    """Scores questions with one model. `layout` is "packed" or "plain"; `computed` counts the tokens it had to read."""

    def __init__(self, model: Any, *, layout: str = "packed", token_budget: int = TOKEN_BUDGET) -> None:
        self.model = model
        self.layout = "plain" if getattr(model.config, "sliding_window", None) else layout
        self.token_budget = token_budget
        self.computed = 0

    def score(self, questions: Sequence[Question], encode: Callable[[str], list[int]]) -> list[OptionScore]:
        """Log-probabilities of both options of each question. Raises NotFinite when the model gives NaN."""
        plans = [
            plan_question(encode(question.prompt), *(encode(question.prompt + option) for option in question.options))
            for question in questions
        ]
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
        rows = (
            pack(lines, self.token_budget)
            if self.layout == "packed"
            else [Row.of(lines, [i]) for i in range(len(lines))]
        )
        results: list[list[float]] = [[] for _ in lines]
        for batch in batches_of(rows, self.token_budget):
            logprobs = self._forward_packed(batch) if self.layout == "packed" else self._forward_plain(batch)
            for row, row_logprobs in zip(batch, logprobs, strict=True):
                for number, column in row.ends.items():
                    results[number] = row_logprobs[column, list(lines[number].wanted)].tolist()
        return results

    def _forward_plain(self, rows: Sequence[Row]) -> Any:
        """Causal rows padded on the left → log-probabilities (B, 1, V) behind their last tokens."""
        import torch

        width = max(row.width for row in rows)
        ids = torch.tensor([[0] * (width - row.width) + row.tokens for row in rows])
        seen = torch.tensor([[0] * (width - row.width) + [1] * row.width for row in rows])
        positions = (seen.cumsum(1) - 1).clamp(min=0)
        return self._logprobs(ids, seen, positions, 1)

    def _forward_packed(self, rows: Sequence[Row]) -> Any:
        """Rows that hold trees, padded on the left → log-probabilities (B, E, V) behind their E last tokens."""
        import torch

        width, ends = max(row.width for row in rows), max(len(row.ends) for row in rows)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        positions = torch.zeros((len(rows), width), dtype=torch.long)
        sees = torch.eye(width, dtype=torch.bool).repeat(len(rows), 1, 1)  # (B, T, T); padding sees itself only
        for index, row in enumerate(rows):
            ids[index, width - row.width :] = torch.tensor(row.tokens)
            positions[index, width - row.width :] = torch.tensor(row.depths)
            sees[index, width - row.width :, width - row.width :] = torch.from_numpy(row.sees())
        mask = torch.zeros(sees.shape, dtype=self.model.dtype).masked_fill_(~sees, -math.inf)
        return self._logprobs(ids, mask[:, None], positions, ends)

    def _logprobs(self, ids: Any, mask: Any, positions: Any, keep: int) -> Any:
        import torch

        self.computed += ids.numel()
        device = self.model.device
        with torch.inference_mode():
            output = self.model(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                position_ids=positions.to(device),
                use_cache=False,
                logits_to_keep=keep,
            )
            return output.logits.float().log_softmax(-1).cpu()


# -- rows --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A tree of tokens laid out in a row, the last token of every line at its end.

    `parents[i]` is the place of the token before token i (-1: none), `depths[i]` its position in its line, `ends` maps
    a line's number to its column counted from the end of the row (-1 is the last).
    """

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    ends: dict[int, int]

    @property
    def width(self) -> int:
        """Tokens of the row."""
        return len(self.tokens)

    def sees(self) -> Any:
        """(T, T) booleans: whether the row's token may look at the column's, i.e. itself and its ancestors."""
        import numpy as np

        visible = np.zeros((self.width, self.width), dtype=bool)
        for place in sorted(range(self.width), key=self.depths.__getitem__):  # parents before children
            if self.parents[place] >= 0:
                visible[place] = visible[self.parents[place]]
            visible[place, place] = True
        return visible

    @classmethod
    def of(cls, lines: Sequence[Line], numbers: Sequence[int]) -> Row:
        """The tree of some lines, which must come in the order of their tokens."""
        tokens: list[int] = []
        parents: list[int] = []
        depths: list[int] = []
        ends: dict[int, int] = {}
        path: list[int] = []
        before: tuple[int, ...] = ()
        for number in numbers:
            ids = lines[number].ids
            shared = common_length(before, ids)
            path = path[:shared]
            for depth in range(shared, len(ids)):
                tokens.append(ids[depth])
                parents.append(path[-1] if path else -1)
                depths.append(depth)
                path.append(len(tokens) - 1)
            ends[number] = path[-1]
            before = ids
        return cls(tokens, parents, depths, ends)._ends_last()

    def _ends_last(self) -> Row:
        """The same tree with the ends moved behind all other tokens; `ends` then counts from the end."""
        last = sorted(set(self.ends.values()))
        order = [place for place in range(self.width) if place not in set(last)] + last
        moved = {place: index for index, place in enumerate(order)}
        return Row(
            tokens=[self.tokens[place] for place in order],
            parents=[moved[self.parents[place]] if self.parents[place] >= 0 else -1 for place in order],
            depths=[self.depths[place] for place in order],
            ends={number: moved[place] - self.width for number, place in self.ends.items()},
        )


def pack(lines: Sequence[Line], budget: int) -> list[Row]:
    """Put lines that share enough of their beginning into one row, as long as it stays within `budget` tokens."""
    groups: list[list[int]] = []
    width = 0
    before: tuple[int, ...] = ()
    for number in sorted(range(len(lines)), key=lambda number: lines[number].ids):
        ids = lines[number].ids
        shared = common_length(before, ids)
        if groups and shared >= MIN_SHARED * len(ids) and width + len(ids) - shared <= budget:
            groups[-1].append(number)
            width += len(ids) - shared
        else:
            groups.append([number])
            width = len(ids)
        before = ids
    return [Row.of(lines, group) for group in groups]


def batches_of(rows: Sequence[Row], budget: int) -> Iterator[list[Row]]:
    """Rows of similar width in batches of at most `budget` tokens with padding (at least one row), widest first."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: -row.width):
        if batch and (len(batch) + 1) * batch[0].width > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning of two token lists."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))
