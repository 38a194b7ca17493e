"""Comparisons of an exact size, and the starter's scenarios as comparisons: what judges are timed and compared on.

A size is C/R/K tokens: the conversation with everything before the first response, each response with its mark, and the
principle with the words that ask for the answer, all counted as the judge's tokenizer counts them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from benchmarks._measuring import ROOT
from constitutions_app.core.wordings import derived_wordings
from training_app.core.backends import Question
from training_app.core.prompts import ANSWER, OPTIONS, PromptFormat, comparison
from training_app.core.rows import Message

STARTER = ROOT / "constitutions_app" / "starter"
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Size:
    """Tokens of conversation, each response, principle."""

    conversation: int
    response: int
    principle: int

    @property
    def name(self) -> str:
        """For example "200_150_40"."""
        return f"{self.conversation}_{self.response}_{self.principle}"


def matrix(template: str, size: Size, wordings: Sequence[str], encode: Encode, seed: int = 0) -> list[Question]:
    """One comparison of this size under every wording, in both orders."""
    draw = random.Random(seed)
    empty = len(encode(comparison(PromptFormat(), template, [Message("user", "x")], "y", "z", "w")))
    talk = [Message("user", prose(draw, size.conversation - (empty - len(encode(tail("y"))) - 13), encode))]
    one, other = (prose(draw, size.response - 6, encode) for _ in range(2))
    return [
        Question(comparison(PromptFormat(), template, talk, wording, first, second), OPTIONS)
        for wording in wordings
        for first, second in ((one, other), (other, one))
    ]


def principles(count: int, size: Size, encode: Encode, *, is_shared: bool = True) -> list[str]:
    """`count` comparison questions that fill the size's principle part.

    They are what the app derives from the starter constitution's plain texts, so all begin alike; where there are more
    than texts, the later ones begin further into a text. Not `is_shared`: the same without the common beginning.
    """
    texts = [" ".join(entry["text"].split()) for entry in starter("harmless_assistant")["principles"]]
    room = size.principle - len(encode(tail("")))
    found = []
    for number in range(count):
        words = texts[number % len(texts)].split()
        start = 5 * (number // len(texts))
        text = " ".join([*words[start:], *words[:start], *texts[(number + 1) % len(texts)].split()])
        asked = derived_wordings(text).comparison_question if is_shared else f"{number} {text}"
        found.append(cut(asked, room, encode))
    return found


def scenarios() -> list[tuple[dict[str, Any], list[str]]]:
    """The starter's scenarios, each with the comparison questions of the principles it names."""
    asked = {entry["id"]: entry["comparison_question"] for entry in starter("harmless_assistant")["principles"]}
    return [
        (entry, [" ".join(asked[name].split()) for name in entry["principles"]])
        for entry in starter("scenarios")["scenarios"]
    ]


def starter(name: str) -> dict[str, Any]:
    """A file of the starter material."""
    found: dict[str, Any] = yaml.safe_load((STARTER / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def tail(wording: str) -> str:
    """The part of a prompt that a principle-last layout repeats for every principle."""
    return f"\n\n{wording}\n{ANSWER} ("


def prose(draw: random.Random, tokens: int, encode: Encode) -> str:
    """Words of the starter's texts in no order, `tokens` tokens long."""
    words = sorted({word for entry in starter("harmless_assistant")["principles"] for word in entry["text"].split()})
    return cut(" ".join(draw.choice(words) for _ in range(tokens)), tokens, encode)


def cut(text: str, tokens: int, encode: Encode) -> str:
    """As many whole words of a text as fit `tokens` tokens, then single letters until it is full."""
    words = text.split()
    while len(encode(" ".join(words))) > tokens:
        words.pop()
    while len(encode(" ".join([*words, "a"]))) <= tokens:
        words.append("a")
    return " ".join(words)
