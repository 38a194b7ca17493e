"""What every RL algorithm draws its answers from: prompts as rows, their order, and the answers kept for people.

A step takes `prompts_per_step` prompts. Which ones is decided once for the whole training, from the seed alone, so a
resumed training takes the prompts it would have taken. Each kind of prompt goes round in passes of its own where a
share of helpfulness prompts is wanted, and the share is kept step by step (paper, section 4.2).
What is left out: a curriculum, and prompts drawn by how much there is to learn from them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.formatting import ChatFormat
from training_app.core.generation import seed_for
from training_app.core.rows import Prompt

Conversation = Sequence[Mapping[str, str]]

HELPFUL = "helpful"
SHOWN_ROLLOUTS = 4
"""Rollouts of every step that are recorded for people to read: the first answer to that many prompts."""

MICRO_BATCH = 4
"""Answers per forward and backward pass; the rest of a step is accumulated, so memory does not grow with the step."""


def policy_rows(form: ChatFormat, prompts: Sequence[Prompt], *, room: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of TRL's "prompt" and our "conversation", "id" and "kind"; prompts of more than `room` tokens are left out.

    The second value says so in a sentence. Raises BadInput when none is left.
    """
    rows = []
    for prompt in prompts:
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        if form.prompt_length(messages) <= room:
            rows.append(
                {"prompt": form.prompt(messages), "conversation": messages, "id": prompt.id, "kind": prompt.kind}
            )
    if not rows:
        raise BadInput(f"No prompt leaves room for an answer: all have more than {room} tokens.", "Shorten them.")
    left_out = len(prompts) - len(rows)
    return rows, [f"{left_out} prompts are left out: they have more than {room} tokens."] if left_out else []


def prompt_order(
    kinds: Sequence[str], per_step: int, steps: int, seed: int, *, helpful_share: float | None = None
) -> list[int]:
    """Which prompts (by place in `kinds`) each step takes, `per_step` of them a step, none twice in one step.

    Without a `helpful_share` all prompts go round together; with one, every step has that share of helpfulness prompts,
    rounded so that the share holds over the whole training. A kind that is not there leaves its places to the other.
    """
    helpful = [place for place, kind in enumerate(kinds) if kind == HELPFUL]
    others = [place for place, kind in enumerate(kinds) if kind != HELPFUL]
    if helpful_share is None or not helpful or not others:
        everything = _Round(list(range(len(kinds))), seed, "order of prompts")
        return [place for _ in range(steps) for place in everything.take(per_step)]
    helpful_round, other_round = _Round(helpful, seed, "helpful prompts"), _Round(others, seed, "other prompts")
    order: list[int] = []
    for step in range(steps):
        wanted = round((step + 1) * per_step * helpful_share) - round(step * per_step * helpful_share)
        count = min(max(wanted, per_step - len(others)), len(helpful))
        order += helpful_round.take(count) + other_round.take(per_step - count)
    return order


class _Round:
    """Places handed out pass after pass, each pass in a new order; those still waiting come last in the next."""

    def __init__(self, places: list[int], seed: int, name: str) -> None:
        self.places = places
        self.waiting: list[int] = []
        self.draw = random.Random(seed_for(seed, name))  # noqa: S311 (repeats with its seed, which is the point)

    def take(self, count: int) -> list[int]:
        if len(self.waiting) < count:
            following = self.draw.sample(self.places, len(self.places))
            self.waiting += sorted(following, key=lambda place: place in self.waiting)
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken


def split_step(answers: int, processes: int) -> tuple[int, int]:
    """(answers per pass, passes per step) for one process. Raises BadInput when they cannot be shared evenly."""
    if answers % processes:
        raise BadInput(
            f"{answers} answers a step cannot be shared evenly by {processes} processes.",
            "Choose prompts_per_step times generations as a multiple of the number of GPUs.",
        )
    share = answers // processes
    micro = max(size for size in range(1, min(MICRO_BATCH, share) + 1) if share % size == 0)
    return micro, share // micro


def record_rollouts(
    events: EventLog,
    step: int,
    conversations: Sequence[Conversation],
    texts: Sequence[str],
    rewards: Sequence[float],
) -> None:
    """Record the first answer to each of the step's first prompts."""
    seen: list[str] = []
    for conversation, text, reward in zip(conversations, texts, rewards, strict=True):
        prompt = conversation[-1]["content"]
        if prompt in seen or len(seen) == SHOWN_ROLLOUTS:
            continue
        data = {"step": step, "prompt": prompt, "text": text, "reward": reward}
        events.record("rollout", f"{step}/{len(seen)}", data)
        seen.append(prompt)


def context_length(model: Any) -> int:
    """The longest text a model can read, in tokens."""
    return int(model.config.get_text_config().max_position_embeddings)
