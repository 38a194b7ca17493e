"""What a judge is measured on: files of questions whose right answer is known, read line by line.

* multiple choice with two options, the format of the paper's evaluations,
  ``{"prompt": "… Options:\\n (A) …\\n (B) …\\n\\nThe answer is:", "corrects": [" (B)"], "incorrects": [" (A)"]}``;
* human comparisons, ``{"chosen": transcript, "rejected": transcript}``, the format of the HH data.

Both orders can be asked: of comparisons always, of a multiple choice when its options stand in the prompt; then their
texts change places and the letters stay. Response a is the one the file names first; for comparisons a digest decides,
because there the right one always comes first.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training_app.core.answers import WORST, numbered_lines, reason_of
from training_app.core.backends import Question
from training_app.core.datasets import parse_hh_line
from training_app.core.errors import BadInput
from training_app.core.prompts import ANSWER, OPTIONS, PromptFormat, comparison, without_control
from training_app.core.rows import Message

QUESTION = "Which of these responses from the assistant is better: more helpful and honest, and less harmful?"
"""What is asked about a human comparison when nobody says otherwise."""

FORMATS = {"choice": "multiple choice with two options", "comparison": "human comparisons"}

_TAIL = re.compile(r"\s*\n[^\n]*:\s*\Z")


@dataclass(frozen=True)
class Choice:
    """A multiple choice cut into what stands before its options, their two texts, and what stands behind them."""

    head: str
    texts: tuple[str, str] | None
    tail: str
    options: tuple[str, str]
    """As the model is to say them, e.g. (" (A)", " (B)"); a is the first of them."""

    def prompt(self, order: str) -> str:
        """The prompt with option a first ("ab") or second ("ba")."""
        if self.texts is None:
            return self.head + self.tail
        texts = self.texts if order == "ab" else self.texts[::-1]
        listed = "".join(f"\n{label} {text}" for label, text in zip(self.options, texts, strict=True))
        return self.head + listed + self.tail


@dataclass(frozen=True)
class Pair:
    """A conversation and two responses to it."""

    messages: tuple[Message, ...]
    responses: tuple[str, str]


@dataclass(frozen=True)
class JudgeItem:
    """One question with a known answer: whether a is right."""

    line: int
    a_is_right: bool
    body: Choice | Pair = field(repr=False)

    @property
    def orders(self) -> tuple[str, ...]:
        """The orders it can be asked in."""
        return ("ab",) if isinstance(self.body, Choice) and self.body.texts is None else ("ab", "ba")

    def question(self, order: str, form: PromptFormat, template: str, question: str) -> Question:
        """What the judge is sent in one order. Raises BadInput for template "chat" without a chat template."""
        if isinstance(self.body, Pair):
            first, second = self.body.responses if order == "ab" else self.body.responses[::-1]
            return Question(comparison(form, template, self.body.messages, question, first, second), OPTIONS)
        sent = without_control(self.body.prompt(order), form.special_tokens)
        return Question(_in_chat(sent, self.body, form) if template == "chat" else sent, self.body.options)

    @property
    def size(self) -> int:
        """Characters, for sorting into batches."""
        if isinstance(self.body, Choice):
            return len(self.body.prompt("ab"))
        return sum(len(message.content) for message in self.body.messages) + sum(map(len, self.body.responses))


def _in_chat(sent: str, choice: Choice, form: PromptFormat) -> str:
    """The question as a user's message, with the assistant's reply begun by the prompt's own last line."""
    if form.template is None:
        raise BadInput("The judge has no chat template.", "Choose the template paper.")
    body = sent.removesuffix(choice.tail) if choice.tail else sent
    first, second = (option.strip() for option in choice.options)
    asked = f"{body.strip()}\n\nAnswer with {first} or {second}."
    return form.template([Message("user", asked)]) + (choice.tail.strip() or ANSWER)


def read_items(path: Path, *, most_bytes: float = math.inf, most: int | None = None) -> list[JudgeItem]:
    """The questions of a file as `each_item` gives them, all at once."""
    return list(each_item(path, most_bytes=most_bytes, most=most))


def each_item(path: Path, *, most_bytes: float = math.inf, most: int | None = None) -> Iterator[JudgeItem]:
    """The questions of a file, plain or gzip, at most the first `most`, one at a time.

    A comparison of two equal responses has no right answer and is passed over. Raises BadInput naming the bad lines,
    when all of them have been seen.
    """
    count = 0
    problems: list[str] = []
    for number, line in numbered_lines(path, most_bytes=most_bytes):
        if most is not None and count == most:
            break
        try:
            item = item_of(line.decode("utf-8"), number)
        except NothingToJudge:
            continue
        except (ValueError, RecursionError, BadInput) as error:
            reason = error.message if isinstance(error, BadInput) else reason_of(error)
            problems.append(f"Line {number}: {reason.removeprefix(f'Line {number}: ').rstrip('.')}.")
            if len(problems) == WORST:
                break
            continue
        count += 1
        yield item
    if problems:
        raise BadInput(f"{path.name} cannot be used to measure a judge.", "\n".join(problems))
    if not count:
        raise BadInput(f"{path.name} holds no question.", "Put one JSON object on each line.")


class NothingToJudge(Exception):
    """The two responses are the same."""


def item_of(line: str, number: int) -> JudgeItem:
    """One line as a question. Raises ValueError or BadInput with the reason, NothingToJudge for equal responses."""
    row = json.loads(line)
    if not isinstance(row, Mapping):
        raise ValueError(f"an object is needed, found {type(row).__name__}")
    if "chosen" in row or "rejected" in row:
        return _pair(row, line, number)
    if "corrects" in row or "incorrects" in row:
        return _choice(row, number)
    raise ValueError(
        'neither a multiple choice ("prompt", "corrects", "incorrects") nor a comparison ("chosen", "rejected")'
    )


def _pair(row: Mapping[str, Any], line: str, number: int) -> JudgeItem:
    if isinstance(row.get("chosen"), str) and row["chosen"] == row.get("rejected"):
        raise NothingToJudge
    row = parse_hh_line(line, number)
    a_is_right = int(str(row["id"])[-1], 16) % 2 == 0
    chosen, rejected = str(row["chosen"]), str(row["rejected"])
    messages = tuple(Message(said["role"], said["content"]) for said in row["messages"])
    return JudgeItem(number, a_is_right, Pair(messages, (chosen, rejected) if a_is_right else (rejected, chosen)))


def _choice(row: Mapping[str, Any], number: int) -> JudgeItem:
    prompt = row.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError("prompt should be text")
    right, wrong = _one_option(row, "corrects"), _one_option(row, "incorrects")
    if right.strip() == wrong.strip():
        raise ValueError("the same option is right and wrong")
    plain = prompt.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    options = (right, wrong) if right.strip() < wrong.strip() else (wrong, right)
    return JudgeItem(number, options[0] == right, _cut(plain, options))


def _one_option(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], str) or not value[0].strip():
        raise ValueError(f'{name} should list exactly one option, for example [" (A)"]')
    return str(value[0])


def _place(prompt: str, option: str, before: int) -> int:
    """Where the last line that begins with the option starts, of those before a place; -1 where none does."""
    found = list(re.finditer(rf"\n[^\S\n]*{re.escape(option.strip())}(?=\s)", prompt[:before]))
    return found[-1].start() if found else -1


def _cut(prompt: str, options: tuple[str, str]) -> Choice:
    """The prompt in its parts; without texts where it does not list its options as lines, first and second."""
    second = _place(prompt, options[1], len(prompt))
    first = _place(prompt, options[0], max(second, 0))
    if first < 0:
        return Choice(prompt, None, "", options)
    tail = _TAIL.search(prompt, second + 1)
    end = tail.start() if tail else len(prompt.rstrip())
    texts = (_text(prompt[first:second], options[0]), _text(prompt[second:end], options[1]))
    return Choice(prompt[:first], texts, prompt[end:], options)


def _text(listed: str, option: str) -> str:
    return listed.strip().removeprefix(option.strip()).strip()
