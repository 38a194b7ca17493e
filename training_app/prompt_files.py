"""Prompt files read line by line: either every line is good, or every bad one is named with its reason.

Red-team and helpfulness prompts are JSONL, ``{"text": …, "id"?: …, "messages"?: […], "tags"?: […]}``, or partial
conversations as Anthropic's transcripts that end in a Human turn, ``{"transcript": "\\n\\nHuman: …"}``; human
comparisons are JSONL in the format of the HH data, ``{"chosen": transcript, "rejected": transcript}``.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, TypeVar

from constitutions_app.core.principles import digest_of_text, normalise
from training_app.core.dataset_files import choice_of, prompt_of, rows_of
from training_app.core.datasets import (
    ASSISTANT,
    canonical_jsonl,
    normalise_ends,
    parse_transcript,
    same_prompt,
)
from training_app.core.errors import BadInput
from training_app.core.rows import Message, messages_of, text_of
from training_app.models import PromptSet
from training_app.refusals import PromptFileRefused

Item = TypeVar("Item")
NumberedRow = tuple[int, dict[str, Any] | str]

LARGEST_FILE = 64 * 2**20
LONGEST_KEY = 100
LONGEST_TAG = 60
PROMPT_FIELDS = frozenset({"id", "text", "messages", "tags", "kind", "transcript"})
FOREIGN = frozenset({"prompt", "init_prompt", "question", "instruction", "response_0", "task_description"})
"""Fields that rows of other projects have and ours have not."""
CHOSEN_BY = ("safer_response_id", "better_response_id")
WORST = 20
"""How many bad lines are named; a file that is wrong throughout need not be listed whole."""


@dataclass(frozen=True)
class ReadPrompt:
    """One prompt of a file; `messages` is empty for a single turn."""

    key: str
    text: str
    messages: tuple[dict[str, str], ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class ReadChoice:
    """One human comparison. Which response stands as A is decided by digest, so that "a" is not always the better."""

    key: str
    prompt: str
    messages: tuple[dict[str, str], ...]
    response_a: str
    response_b: str
    human_choice: str


@dataclass(frozen=True)
class ReadPrompts:
    """A whole file. `digest` is the sha256 of its items as canonical JSONL: white space and key order do not count."""

    prompts: tuple[ReadPrompt, ...] = ()
    choices: tuple[ReadChoice, ...] = ()
    repeated: int = 0
    """Rows of another project's file that said what an earlier one had said."""

    @property
    def rows(self) -> int:
        return len(self.prompts) + len(self.choices)

    @property
    def digest(self) -> str:
        return digest_of_text(canonical_jsonl([*map(asdict, self.prompts), *map(asdict, self.choices)]))


def read_prompt_file(
    content: bytes, kind: str, *, name: str = "", column: str = "", chosen_by: str = CHOSEN_BY[0]
) -> ReadPrompts:
    """Read a whole file of one kind: ours, or one that `core.dataset_files` knows. `name` tells text and CSV apart.

    `column` names the column of the prompts, `chosen_by` which field of PKU-SafeRLHF chooses. In a file of ours a
    repeated prompt is refused; in another project's it is taken once and counted. Raises PromptFileRefused with a
    sentence for each bad line.
    """
    if kind not in PromptSet.Kind.values:
        raise PromptFileRefused((f"There is no kind {kind!r}; choose {', '.join(PromptSet.Kind.values)}.",))
    if len(content) > LARGEST_FILE:
        raise PromptFileRefused((f"The file is larger than {LARGEST_FILE // 2**20} MiB; split it into several sets.",))
    rows, ours = _begun(rows_of(io.BytesIO(content), name.lower()))
    if kind == PromptSet.Kind.COMPARISONS:
        choices, repeated = _read(
            rows,
            lambda row, number: _choice(choice_of(row, number, by=chosen_by)),
            lambda choice: choice.key,
            ours=ours,
        )
        return ReadPrompts(choices=choices, repeated=repeated)
    prompts, repeated = _read(
        rows,
        lambda row, _: _prompt(row if ours and not column else {"text": prompt_of(row, column)}, kind),
        lambda one: same_prompt(_whole(one)),
        ours=ours,
    )
    return ReadPrompts(prompts=prompts, repeated=repeated)


def _read(
    rows: Iterable[NumberedRow],
    parse: Callable[[dict[str, Any], int], Item],
    identity: Callable[[Item], str],
    *,
    ours: bool,
) -> tuple[tuple[Item, ...], int]:
    """Every row through `parse`, which raises ValueError with the reason; and how many repeats were passed over."""
    items: list[Item] = []
    problems: list[str] = []
    first_line_of: dict[str, int] = {}
    keys: dict[str, int] = {}
    repeated = 0
    for number, row in rows:
        try:
            if isinstance(row, str):
                raise ValueError(row)
            item = parse(row, number)
            twins = ((first_line_of, identity(item), "prompt"), (keys, getattr(item, "key", ""), "id"))
            repeats = [(seen[key], what) for seen, key, what in twins if seen.setdefault(key, number) != number]
            if repeats and ours:
                raise ValueError(f"the same {repeats[0][1]} stands already on line {repeats[0][0]}")
        except BadInput as error:
            problems.append(f"Line {number}: {error.message.removeprefix(f'Line {number}: ').rstrip('.')}.")
        except ValueError as error:
            problems.append(f"Line {number}: {error}.")
        else:
            repeated += bool(repeats)
            items += [] if repeats else [item]
        if len(problems) == WORST:
            break
    if problems:
        raise PromptFileRefused(tuple(problems))
    if not items:
        raise PromptFileRefused(("The file holds no line. Put one JSON object on each line.",))
    return tuple(items), repeated


def _begun(rows: Iterator[NumberedRow]) -> tuple[Iterator[NumberedRow], bool]:
    """The rows, and whether the first one says that the file is ours: all of it is then held to our own format.

    An HH pair counts as ours: its file never holds a pair twice.
    """
    first = next(rows, None)
    if first is None:
        return rows, True
    row = first[1]
    is_ours = isinstance(row, str) or (
        not FOREIGN & row.keys() and (bool(PROMPT_FIELDS & row.keys()) or isinstance(row.get("chosen"), str))
    )
    return chain([first], rows), is_ours


def _prompt(row: dict[str, Any], kind: str) -> ReadPrompt:
    if unknown := sorted(set(row) - PROMPT_FIELDS):
        raise ValueError(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(PROMPT_FIELDS))}")
    if row.get("kind", kind) != kind:
        raise ValueError(f"this is a {row['kind']} prompt in a {kind} set")
    row = _from_transcript(row)
    messages = messages_of(row, row.get("text") or "")
    text = normalise(text_of(row, "text") if "text" in row or not row.get("messages") else messages[-1].content)
    if len(messages) > 1 and normalise(messages[-1].content) != text:
        raise ValueError("text should be the last message of messages")
    if not text:
        raise ValueError("text is empty")
    tags = row.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) and 0 < len(tag) <= LONGEST_TAG for tag in tags):
        raise ValueError(f"tags should be a list of words of at most {LONGEST_TAG} characters")
    turns = tuple(_plain(message) for message in messages) if len(messages) > 1 else ()
    return ReadPrompt(_key(row, text, turns), text, turns, tuple(normalise(tag) for tag in tags))


def _from_transcript(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose "transcript" is read as messages; an "Assistant:" left open at its end asks for the answer."""
    if "transcript" not in row:
        return row
    if row.keys() & {"text", "messages"}:
        raise ValueError("a transcript is the whole prompt; leave text and messages out")
    talk = normalise_ends(text_of(row, "transcript")).rstrip()
    talk = talk.removesuffix(ASSISTANT).rstrip() if talk.endswith(ASSISTANT) else talk
    try:
        messages = parse_transcript(talk if talk.startswith("\n") else f"\n\n{talk}", 0)
    except BadInput as error:
        raise ValueError(error.message.removeprefix("Line 0: ").rstrip(".")) from error
    return {name: value for name, value in row.items() if name != "transcript"} | {"messages": messages}


def _key(row: dict[str, Any], text: str, turns: tuple[dict[str, str], ...]) -> str:
    if "id" not in row:
        return key_of(text, turns)
    key = normalise(text_of(row, "id"))
    if len(key) > LONGEST_KEY or "\n" in key:
        raise ValueError(f"id should be one line of at most {LONGEST_KEY} characters")
    return key


def key_of(text: str, turns: tuple[dict[str, str], ...]) -> str:
    """The key of a prompt that brings none: the same for the same prompt in every file."""
    body = canonical_jsonl([{"text": text, "messages": turns}])
    return f"prompt-{hashlib.sha256(body.encode()).hexdigest()[:16]}"


def _choice(row: Mapping[str, Any]) -> ReadChoice:
    key = str(row["id"])
    chosen_first = int(key[-1], 16) % 2 == 0
    first, second = (row["chosen"], row["rejected"]) if chosen_first else (row["rejected"], row["chosen"])
    turns = tuple(row["messages"]) if len(row["messages"]) > 1 else ()
    return ReadChoice(key, str(row["prompt"]), turns, str(first), str(second), "a" if chosen_first else "b")


def _plain(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": normalise(message.content)}


def _whole(prompt: ReadPrompt) -> str:
    """Everything a prompt says, so that two conversations with the same last turn count as two prompts."""
    return "\n\n".join(turn["content"] for turn in prompt.messages) or prompt.text
