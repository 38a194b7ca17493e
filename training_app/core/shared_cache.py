"""Keys and values of many rows whose beginnings are shared: kept once, read by all, however many rows there are.

    root      what all rows begin with (worked examples)                      1 segment
    groups    what the rows of one conversation go on with                    1 segment a conversation
    rows      what belongs to one row alone, and what it writes               1 segment a row

A query attends to each of its segments apart; the parts are put together by their log-sum-exp, which is the softmax
over all of them: ``out = Σ wᵢ outᵢ, w = softmax(lse)`` (as in Hydragen, arXiv 2402.05099). The rows that read one
segment are one multiplication with it. Segments are filled from the left, so nothing is ever padded but their ends.

Attention is computed in float32, also for a bfloat16 model: on processors without AMX it is twice as fast, and exacter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from training_app.core.fused_llama import FusedLlama


@dataclass
class Level:
    """Segments side by side: per layer keys and values (S, heads, room, D), of which `lengths[s]` tokens are filled."""

    keys: list[Any]
    values: list[Any]
    lengths: list[int]

    @classmethod
    def empty(cls, model: FusedLlama, segments: int, room: int) -> Level:
        """Room for `segments` segments of `room` tokens; zeros, since what is hidden is multiplied all the same."""
        import torch

        shape = (segments, model.key_heads, room, model.width)
        layers = range(model.config.num_hidden_layers)
        return cls([torch.zeros(shape) for _ in layers], [torch.zeros(shape) for _ in layers], [0] * segments)

    def pick(self, segments: Sequence[int], room: int = 0) -> Level:
        """A copy of some segments with room for `room` tokens (by default what is there)."""
        import torch

        filled = max([self.lengths[segment] for segment in segments], default=0)
        shape = (len(segments), self.keys[0].shape[1], max(room, filled), self.keys[0].shape[3])
        index = torch.tensor(segments)
        picked = Level([], [], [self.lengths[segment] for segment in segments])
        for old, new in ((self.keys, picked.keys), (self.values, picked.values)):
            for layer in old:
                copy = torch.zeros(shape)
                copy[:, :, :filled] = layer[index, :, :filled]
                new.append(copy)
        return picked

    def put(self, segments: Sequence[int], other: Level) -> None:
        """Write the segments of `other` over some of these."""
        import torch

        filled, index = max(other.lengths), torch.tensor(segments)
        for old, new in ((self.keys, other.keys), (self.values, other.values)):
            for mine, theirs in zip(old, new, strict=True):
                mine[index, :, :filled] = theirs[:, :, :filled]
        for segment, length in zip(segments, other.lengths, strict=True):
            self.lengths[segment] = length


@dataclass
class Shared:
    """A level above the rows: `owners[r]` is the segment row r reads."""

    level: Level
    owners: list[int]

    def pick(self, rows: Sequence[int]) -> Shared:
        """What some rows read of it; segments nobody reads any more are left behind."""
        owners = [self.owners[row] for row in rows]
        used = sorted(set(owners))
        if len(used) == len(self.level.lengths):
            return Shared(self.level, owners)
        return Shared(self.level.pick(used), [used.index(owner) for owner in owners])


class Readers(NamedTuple):
    """Who reads a shared level: `members` (S, M) rows (repeated where a segment has fewer), `place` (R,) of each row in
    them, and `hidden` (S, 1, 1, L), minus infinity where a segment has no token, or None."""

    members: Any
    place: Any
    hidden: Any


@dataclass
class Rows:
    """Rows that read and write: their own level and those they share, from the root down."""

    own: Level
    shared: list[Shared]
    _readers: list[Readers] | None = None

    def pick(self, rows: Sequence[int], room: int) -> Rows:
        """A copy of some rows with room for `room` tokens of their own; shared levels are not copied needlessly."""
        return Rows(self.own.pick(rows, room), [shared.pick(rows) for shared in self.shared])

    def length(self, row: int) -> int:
        """Tokens that one row has read, shared ones included."""
        above = sum(shared.level.lengths[shared.owners[row]] for shared in self.shared)
        return above + self.own.lengths[row]

    def readers(self) -> list[Readers]:
        """Made once: shared levels never change while rows read them."""
        if self._readers is None:
            self._readers = [_readers(shared) for shared in self.shared]
        return self._readers

    def read(self, model: FusedLlama, new: Sequence[Sequence[int]]) -> Any:
        """Read `new` tokens, at least one for every row; returns each row's last hidden state (R, hidden)."""
        import torch

        counts = [len(tokens) for tokens in new]
        steps = _Steps.of(self, counts)
        tokens = torch.tensor([token for row in new for token in row])
        positions = torch.tensor([self.length(row) + step for row, count in enumerate(counts) for step in range(count)])
        hidden = model.read(tokens, positions, _Attention(self, steps, model))
        for row, count in enumerate(counts):
            self.own.lengths[row] += count
        return hidden[torch.tensor(counts).cumsum(0) - 1]


@dataclass
class _Steps:
    """Where the new tokens of one reading go: `row` and `slot` (T,) of each, and what each may see of its own row."""

    row: Any
    slot: Any
    place: Any
    most: int
    filled: int
    hidden: Any

    @classmethod
    def of(cls, rows: Rows, counts: Sequence[int]) -> _Steps:
        import torch

        most = max(counts)
        row = torch.tensor([row for row, count in enumerate(counts) for _ in range(count)])
        place = torch.tensor([step for count in counts for step in range(count)])
        starts = torch.tensor(rows.own.lengths)
        filled = int((starts + torch.tensor(counts)).max())
        last_seen = starts[:, None] + torch.arange(most)  # (R, n)
        hidden = torch.zeros(len(counts), 1, most, filled)
        hidden.masked_fill_((torch.arange(filled) > last_seen[..., None])[:, None], -torch.inf)
        is_whole = most == 1 and min(rows.own.lengths) + 1 == filled
        return cls(row, starts[row] + place, place, most, filled, None if is_whole else hidden)


class _Attention:
    """The `attend` of one reading: writes new keys and values behind the others, then looks at every level."""

    def __init__(self, rows: Rows, steps: _Steps, model: FusedLlama) -> None:
        self.rows, self.steps, self.readers = rows, steps, rows.readers()
        self.count = len(rows.own.lengths)
        self.groups = model.heads // model.key_heads
        self.scale = model.width**-0.5
        self.hidden = steps.hidden
        if self.hidden is not None:  # the queries of one key head stand side by side: (R, 1, G · n, L)
            self.hidden = self.hidden.repeat(1, 1, self.groups, 1)

    def __call__(self, layer: int, queries: Any, keys: Any, values: Any) -> Any:
        own, steps = self.rows.own, self.steps
        own.keys[layer][steps.row, :, steps.slot] = keys.float()
        own.values[layer][steps.row, :, steps.slot] = values.float()
        asked = self._by_row(queries.float())
        seen = own.keys[layer][:, :, : steps.filled], own.values[layer][:, :, : steps.filled]
        parts = [_look(asked, *seen, self.hidden, self.scale)]
        for shared, readers in zip(self.rows.shared, self.readers, strict=True):
            parts.append(self._look_above(asked, shared.level, readers, layer))
        return self._by_token(_together(parts)).to(queries.dtype)

    def _look_above(self, asked: Any, level: Level, readers: Readers, layer: int) -> tuple[Any, Any]:
        """All rows that read a segment ask it together: (R, heads, q, D) → (S, heads, M · q, D) and back."""
        _, heads, count, width = asked.shape
        segments, most = readers.members.shape
        together = asked[readers.members].transpose(1, 2).reshape(segments, heads, most * count, width)
        filled = max(level.lengths)
        seen = level.keys[layer][:, :, :filled], level.values[layer][:, :, :filled]
        out, weight = _look(together, *seen, readers.hidden, self.scale)
        out = out.view(segments, heads, most, count, width).transpose(1, 2).flatten(0, 1)[readers.place]
        weight = weight.view(segments, heads, most, count).transpose(1, 2).flatten(0, 1)[readers.place]
        return out, weight

    def _by_row(self, queries: Any) -> Any:
        """Queries (T, heads, D) → (R, heads of keys, G · n, D), with nothing of meaning where a row has fewer."""
        steps, width = self.steps, queries.shape[-1]
        if steps.most == 1:
            return queries.view(self.count, -1, self.groups, width)
        padded = queries.new_zeros(self.count, steps.most, *queries.shape[1:])
        padded[steps.row, steps.place] = queries
        split = padded.view(self.count, steps.most, -1, self.groups, width).permute(0, 2, 3, 1, 4)
        return split.reshape(self.count, -1, self.groups * steps.most, width)

    def _by_token(self, out: Any) -> Any:
        """The way back: (R, heads of keys, G · n, D) → (T, heads · D)."""
        steps, width = self.steps, out.shape[-1]
        if steps.most == 1:
            return out.reshape(self.count, -1)
        split = out.view(self.count, -1, self.groups, steps.most, width).permute(0, 3, 1, 2, 4)
        return split[steps.row, steps.place].flatten(1)


def _look(asked: Any, keys: Any, values: Any, hidden: Any, scale: float) -> tuple[Any, Any]:
    """Attention over one segment with its log-sum-exp: (S, heads, q, D), (S, heads, q)."""
    import torch

    out, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        asked, keys, values, 0.0, False, attn_mask=hidden, scale=scale
    )
    return out, weight


def _together(parts: list[tuple[Any, Any]]) -> Any:
    import torch

    if len(parts) == 1:
        return parts[0][0]
    weights = torch.stack([weight for _, weight in parts]).softmax(0)
    return (torch.stack([out for out, _ in parts]) * weights[..., None]).sum(0)


def _readers(shared: Shared) -> Readers:
    import torch

    lengths = shared.level.lengths
    rows: list[list[int]] = [[] for _ in lengths]
    for row, owner in enumerate(shared.owners):
        rows[owner].append(row)
    most = max(map(len, rows))
    members = torch.tensor([own + own[:1] * (most - len(own)) for own in rows])
    place = torch.tensor([owner * most + rows[owner].index(row) for row, owner in enumerate(shared.owners)])
    if min(lengths) == max(lengths):
        return Readers(members, place, None)
    hidden = torch.zeros(len(lengths), 1, 1, max(lengths))
    hidden.masked_fill_((torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None])[:, None, None], -torch.inf)
    return Readers(members, place, hidden)
