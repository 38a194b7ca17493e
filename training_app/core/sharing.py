"""Writing for many rows at once, computing what they share once, with no free place while anything waits.

* Prompts become a tree (`shared_cache`): what all begin with, what those of one conversation go on with, the rest.
* At most `places` rows are written at a time. When an eighth of them has ended, waiting rows take their places before
  the next step, or, when none waits, the others close up. Who comes next is decided by the order of the batch and by
  the texts alone, so the same batch is always computed the same way, in bfloat16, too.
* Prompts that extend those of the batch before (a revision after its critique) go on from its keys and values.

What is drawn and when a row ends is `generation`'s business and the same for every model; this is for the models that
`fused_llama` computes. Left out: sharing between batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core.config import Sampling
from training_app.core.fused_llama import FusedLlama
from training_app.core.generation import MIN_SHARED, Continuation, Remembering
from training_app.core.shared_cache import Level, Rows, Shared
from training_app.core.token_tree import common_length

PLACES = 64
"""Rows written at a time: from here on a step costs nearly as much more as it has more rows."""

PIECE = 512
"""Tokens of one row read at a time, so that attention's mask stays small however long the prompt."""

MEMORY_SHARE = 0.7
"""Share of the free memory that keys and values may take."""

READING = 4096
"""Tokens read at a time over all rows."""


@dataclass
class Memory:
    """What was read: the rows, and all tokens of each (of which the first `rows.length(r)` are held)."""

    rows: Rows
    tokens: list[list[int]]


@dataclass
class Family:
    """Prompts (their numbers) that begin with the same `shared` tokens."""

    members: list[int]
    shared: int


class SharingGenerator(Remembering):
    """Continues token lists with a model `fused_llama` computes."""

    _last: Memory | None

    def __init__(self, model: Any, tokenizer: Any, *, places: int = PLACES) -> None:
        super().__init__(model, tokenizer)
        self.model = FusedLlama(model)
        self.places = places

    def _continue(
        self, prompts: Sequence[Sequence[int]], written: list[Continuation], sampling: Sampling, stops: Sequence[str]
    ) -> None:
        rows, hidden = self._read(prompts, sampling.max_new_tokens)
        self._write(rows, hidden, written, sampling, stops)
        tokens = [[*ids, *row.tokens] for ids, row in zip(prompts, written, strict=True)]
        self._last = Memory(rows, tokens)

    # -- reading prompts -----------------------------------------------------------------------------------------

    def _read(self, prompts: Sequence[Sequence[int]], max_new: int) -> tuple[Rows, Any]:
        """The tree of all prompts with room for what is written, and each row's last hidden state (B, hidden)."""
        last, self._last = self._last, None
        rows = self._extended(last, prompts, max_new) if last else None
        rows = rows or self._fresh(prompts, max_new)
        rests = [list(ids[rows.length(row) :]) for row, ids in enumerate(prompts)]
        return rows, self._take_in(rows, rests)

    def _extended(self, last: Memory, prompts: Sequence[Sequence[int]], max_new: int) -> Rows | None:
        """The rows of the last batch cut back to what `prompts` begin with; None where they do not extend it."""
        if len(last.tokens) != len(prompts):
            return None
        rows = last.rows
        for row, (known, ids) in enumerate(zip(last.tokens, prompts, strict=True)):
            above = rows.length(row) - rows.own.lengths[row]
            kept = min(common_length(known, ids), len(ids) - 1, rows.length(row))
            if kept < above:
                return None
            rows.own.lengths[row] = kept - above
        room = self._room(rows, prompts, max_new)
        self._make_sure_it_fits(rows, room)
        return rows.pick(range(len(prompts)), room)

    def _fresh(self, prompts: Sequence[Sequence[int]], max_new: int) -> Rows:
        """Read what is shared and make empty rows below it."""
        root = min(min(map(len, prompts)) - 2, *(common_length(prompts[0], ids) for ids in prompts))
        shared: list[Shared] = []
        if len(prompts) > 1 and root >= MIN_SHARED:
            shared.append(self._level([list(prompts[0][:root])], [0] * len(prompts), []))
        start = root if shared else 0
        families = families_of(prompts, start)
        if len(families) < len(prompts):
            owners = [0] * len(prompts)
            for number, family in enumerate(families):
                for member in family.members:
                    owners[member] = number
            begun = [list(prompts[family.members[0]][start : family.shared]) for family in families]
            shared.append(self._level(begun, owners, shared))
        rows = Rows(Level([], [], [0] * len(prompts)), shared)
        room = self._room(rows, prompts, max_new)
        self._make_sure_it_fits(rows, room)
        rows.own = Level.empty(self.model, len(prompts), room)
        return rows

    def _level(self, begun: list[list[int]], owners: list[int], above: list[Shared]) -> Shared:
        """One shared level, read: `begun[s]` are the tokens of segment s."""
        level = Level.empty(self.model, len(begun), max(map(len, begun)))
        over = [Shared(shared.level, [0] * len(begun)) for shared in above]
        self._take_in(Rows(level, over), begun)
        return Shared(level, owners)

    def _take_in(self, rows: Rows, new: Sequence[Sequence[int]]) -> Any:
        """Read `new` tokens of every row, some thousand at a time; each row's last hidden state (R, hidden)."""
        import torch

        self.computed += sum(map(len, new))
        states: list[Any] = [None] * len(new)
        for chosen, pieces in reading_plan(new):
            if len(chosen) == len(new):
                hidden = rows.read(self.model, pieces)
            else:
                room = max(rows.own.lengths[row] + len(piece) for row, piece in zip(chosen, pieces, strict=True))
                part = rows.pick(chosen, room)
                hidden = part.read(self.model, pieces)
                rows.own.put(chosen, part.own)
            for row, state in zip(chosen, hidden, strict=True):
                states[row] = state
        return torch.stack(states)

    def _make_sure_it_fits(self, rows: Rows, room: int) -> None:
        """Refuse, while that is still possible, a batch whose keys and values leave no memory (Linux would just kill).

        Counted: the rows' own level twice, because closing up copies it, and the shared ones. Raises MemoryError.
        """
        import psutil

        tokens = 2 * len(rows.own.lengths) * room + sum(sum(shared.level.lengths) for shared in rows.shared)
        needed, free = tokens * self.model.bytes_per_token, psutil.virtual_memory().available
        if needed > MEMORY_SHARE * free:
            raise MemoryError(f"Keys and values of this batch need {needed / 2**30:.1f} GiB.")

    def _room(self, rows: Rows, prompts: Sequence[Sequence[int]], max_new: int) -> int:
        """Tokens of its own that the longest row will hold."""
        above = [rows.length(row) - rows.own.lengths[row] for row in range(len(prompts))]
        return max(len(ids) - before for ids, before in zip(prompts, above, strict=True)) + max_new

    # -- writing -------------------------------------------------------------------------------------------------

    def _write(
        self, rows: Rows, first: Any, written: Sequence[Continuation], sampling: Sampling, stops: Sequence[str]
    ) -> None:
        """Draw token after token until every row has ended. `first` (B, hidden) are the states of the prompts' ends."""

        def draw(hidden: Any, numbers: Sequence[int]) -> list[int]:
            rows = [written[number] for number in numbers]
            return self._draw(self.model.logits(hidden), rows, sampling, stops)

        room, count = rows.own.keys[0].shape[2], len(written)
        active = list(range(min(self.places, count)))
        waiting = len(active)
        part = rows if waiting == count else rows.pick(active, room)
        drawn = draw(first[:waiting], active)
        while True:
            running = [place for place, row in enumerate(active) if not written[row].is_over]
            while _should_close_up(len(running), len(active), is_any_waiting=waiting < count):
                if part is not rows:
                    rows.own.put(active, part.own)
                joining = list(range(waiting, min(waiting + self.places - len(running), count)))
                waiting += len(joining)
                active = [*(active[place] for place in running), *joining]
                drawn = [drawn[place] for place in running] + (draw(first[joining], joining) if joining else [])
                part = rows.pick(active, room)
                running = [place for place, row in enumerate(active) if not written[row].is_over]
            if not running:
                break
            hidden = self._step(part, drawn, set(running))
            drawn = draw(hidden, active)
        if part is not rows:
            rows.own.put(active, part.own)

    def _step(self, part: Rows, drawn: Sequence[int], running: set[int]) -> Any:
        """Read the drawn tokens; what a row that is over reads leaves no trace."""
        hidden = part.read(self.model, [[token] for token in drawn])
        for place in range(len(drawn)):
            if place not in running:
                part.own.lengths[place] -= 1
        return hidden


def _should_close_up(running: int, active: int, *, is_any_waiting: bool) -> bool:
    """Whether enough rows have ended to be worth the copy that gives their places away."""
    ended = active - running
    return (running > 0 or is_any_waiting) and 8 * ended >= active


def families_of(prompts: Sequence[Sequence[int]], start: int) -> list[Family]:
    """Prompts grouped by long common beginnings behind `start`; one that shares with no other is a family of its own.

    A prompt joins its neighbour's family where that costs the family at most half of what its members share. A prompt
    keeps its last token for itself. All stay alone where one has no two tokens behind `start`.
    """
    families: list[Family] = []
    for number in sorted(range(len(prompts)), key=lambda number: list(prompts[number])):
        own = len(prompts[number]) - 1
        if own <= start:
            return [Family([number], 0) for number in range(len(prompts))]
        if families:
            family = families[-1]
            shared = min(common_length(prompts[family.members[0]], prompts[number]), family.shared, own)
            if shared - start >= max(MIN_SHARED, (family.shared - start) // 2):
                family.members.append(number)
                family.shared = shared
                continue
        families.append(Family([number], own))
    return families


def reading_plan(new: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], list[Sequence[int]]]]:
    """Pieces of at most `PIECE` tokens of a row, about `READING` in all, in order: (rows, their pieces)."""
    for start in range(0, max(map(len, new)), PIECE):
        chosen: list[int] = []
        pieces: list[Sequence[int]] = []
        for row, tokens in enumerate(new):
            piece = tokens[start : start + PIECE]
            if not piece:
                continue
            if chosen and sum(map(len, pieces)) + len(piece) > READING:
                yield chosen, pieces
                chosen, pieces = [], []
            chosen.append(row)
            pieces.append(piece)
        if chosen:
            yield chosen, pieces
