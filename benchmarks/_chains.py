"""Critique → revision chains as the app writes them, and the greedy text that `generate` of transformers gives.

The prompts are the starter set's red-team prompts, the principles the starter constitution's; the answers criticised
are made of one plain text, so that every chain is about as long as any other unless it is asked to be shorter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

from benchmarks._measuring import ROOT
from constitutions_app.core.principles import from_dict
from constitutions_app.core.wordings import Wordings, wordings_for
from training_app.core.backends.local import LocalBackend
from training_app.core.prompts import PromptFormat
from training_app.core.rows import Message

CHAINS = 4
"""Chains of one prompt, each under a principle of its own."""
EQUAL_WITHIN = 1e-4
"""Two best logits so near to each other may change places with the order of additions."""

ANSWER = (
    "That depends on a few things, and it is worth going through them one at a time. First, think about what you "
    "want to be different afterwards, and for whom. Write it down in a sentence, because what stays unwritten "
    "tends to grow. Then look at who else is touched by it, what they know already, and what they would say if "
    "they were asked. Often the plain way, a short and honest conversation, costs least and lasts longest. If "
    "that is not possible, find someone whose work it is to help with such matters and describe the situation "
    "without leaving out the awkward parts. Keep a record of what was said and when. Above all, do not do "
    "anything in a hurry that cannot be undone, and sleep over it once before you start. If somebody could be "
    "hurt, stop there and get help first."
)


@dataclass(frozen=True)
class Chain:
    """One conversation held against one principle; `critique` and `revision` give the texts a model is sent."""

    prompt: str
    answer: str
    wordings: Wordings
    form: PromptFormat

    @property
    def critique(self) -> str:
        """The critique prompt."""
        return self.form.critique([Message("user", self.prompt)], self.answer, self.wordings)

    def revision(self, critique: str) -> str:
        """The revision prompt; begins with the critique prompt."""
        return self.form.revision([Message("user", self.prompt)], self.answer, self.wordings, critique)


def chains_of(
    form: PromptFormat, prompts: int, *, words: Callable[[int], int] | None = None, mark: str = ""
) -> list[Chain]:
    """`prompts` x `CHAINS` chains: prompts of the starter set, each against the next four starter principles.

    `words` says for the number of a chain how many words of the answer it has; all of them by default. `mark` begins
    every conversation, so that chains of another mark share nothing with them but the format's own beginning.
    """
    starter = ROOT / "constitutions_app" / "starter" / "harmless_assistant.yaml"
    constitution = from_dict(yaml.safe_load(starter.read_text(encoding="utf-8")))
    wordings = [wordings_for(principle) for principle in constitution.principles]
    lines = (ROOT / "training_app" / "starter" / "red_team.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [mark + json.loads(line)["text"] for line in lines[:prompts]]
    said = ANSWER.split()
    chains = []
    for number, text in enumerate(text for text in texts for _ in range(CHAINS)):
        answer = " ".join(said[: words(number)] if words else said)
        chains.append(Chain(text, f"You ask: {text} {answer}", wordings[number % len(wordings)], form))
    return chains


def batched(backend: LocalBackend, prompts: Sequence[Sequence[int]], new: int) -> list[list[int]]:
    """Greedy `generate` on left-padded prompts; new tokens up to the end token."""
    import torch

    pad, width = backend.tokenizer.pad_token_id, max(map(len, prompts))
    device = backend.model.device
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    with torch.inference_mode():
        written = backend.model.generate(
            ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=pad
        )[:, width:]
    return [up_to_end(row, backend.tokenizer.eos_token_id) for row in written.tolist()]


def up_to_end(tokens: list[int], end: int) -> list[int]:
    """The tokens with the first end token, without what pads them."""
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def first_gap(backend: LocalBackend, prompt: Sequence[int], one: Sequence[int], other: Sequence[int]) -> float:
    """How far apart the two best logits lie where two continuations part."""
    import torch

    same = next((n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    with torch.inference_mode():
        ids = torch.tensor([[*prompt, *one[:same]]], device=backend.model.device)
        logits = backend.model(ids, logits_to_keep=1).logits[0, -1].float()
    first, second = logits.topk(2).values.tolist()
    return float(first - second)
