"""A conversation as tokens: one format for the policy, for the reward model, and for what it scores.

The tokenizer's chat template is used; a tokenizer without one gets the paper's transcript (section 3.1) *as* its
template, and the checkpoint carries it on. Texts are untrusted: prompts are defused exactly as when they were sent for
an answer (`prompts.py`), answers lose the power of control tokens, so no text can end its turn or speak for another.
What is left out: tools, images, and the prompts of critique and feedback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_app.core.base_model import load_tokenizer
from training_app.core.prompts import LABELS, NO_TEMPLATE, TRANSCRIPT_CHAT_TEMPLATE, defuse, special_tokens_of

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Encoded:
    """A conversation that ends with the assistant, as token ids; the answer (what is learnt) begins at `answer_at`."""

    ids: tuple[int, ...]
    answer_at: int

    @property
    def answer_mask(self) -> list[int]:
        """1 for every token of the answer, 0 for the prompt's."""
        return [0] * self.answer_at + [1] * (len(self.ids) - self.answer_at)


class ChatFormat:
    """A tokenizer with the format its model is trained in. `notes` says in words what was added to it."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.notes: tuple[str, ...] = ()
        if not tokenizer.chat_template:
            tokenizer.chat_template = _beginning(tokenizer) + TRANSCRIPT_CHAT_TEMPLATE
            self.notes = (NO_TEMPLATE,)
        self._special = special_tokens_of(tokenizer)
        self._is_transcript = f"\n\n{LABELS['user']}:" in self._text([{"role": "user", "content": "hello"}])

    @classmethod
    def load(cls, folder: Path) -> ChatFormat:
        """The format of a model folder; padding on the right, as training reads texts."""
        tokenizer = load_tokenizer(folder)
        tokenizer.padding_side = "right"
        return cls(tokenizer)

    def prompt(self, messages: Messages) -> list[dict[str, str]]:
        """A conversation that ends with the person, defused: what the policy is asked."""
        return [{"role": turn["role"], "content": defuse(turn["content"], self._special).strip()} for turn in messages]

    def prompt_length(self, messages: Messages) -> int:
        """Tokens of a prompt, up to where the answer begins."""
        return len(self._ids(self.prompt(messages), open_turn=True))

    def answer(self, messages: Messages, answer: str) -> Encoded:
        """The prompt `messages` and the assistant's `answer`, closed as a finished turn."""
        prompt = self.prompt(messages)
        asked = self._ids(prompt, open_turn=True)
        whole = self._ids([*prompt, {"role": "assistant", "content": self._harmless(answer)}], open_turn=False)
        return Encoded(tuple(whole), _common_length(asked, whole))

    def _harmless(self, answer: str) -> str:
        """An answer is learnt as it is, list marks and all; only what would end the turn is broken."""
        if self._is_transcript:
            return defuse(answer, self._special).strip()
        for token in sorted(self._special, key=len, reverse=True):
            if len(token) > 1:
                answer = answer.replace(token, f"{token[0]} {token[1:]}")
        return answer.strip()

    def _ids(self, messages: Messages, *, open_turn: bool) -> list[int]:
        encoded = self.tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=open_turn, tokenize=True, return_dict=True
        )
        ids: list[int] = encoded["input_ids"]
        return ids

    def _text(self, messages: Messages) -> str:
        return str(self.tokenizer.apply_chat_template(list(messages), tokenize=False))


def _beginning(tokenizer: Any) -> str:
    """The beginning-of-text token for a template, where the tokenizer itself puts one before a plain text."""
    bos = tokenizer.bos_token_id
    return "{{ bos_token }}" if bos is not None and tokenizer.encode("x")[:1] == [bos] else ""


def _common_length(asked: Sequence[int], whole: Sequence[int]) -> int:
    """How many tokens both begin with: where prompt and answer merge into one token, the answer begins with it."""
    for position, (one, other) in enumerate(zip(asked, whole, strict=False)):
        if one != other:
            return position
    return min(len(asked), len(whole))
