"""Prompt files read line by line: either every line is good, or every bad one is named with its reason.

Red-team and helpfulness prompts are JSONL, ``{"text": …, "id"?: …, "messages"?: […], "tags"?: […]}``, or partial
conversations as Anthropic's transcripts that end in a Human turn, ``{"transcript": "\\n\\nHuman: …"}``; human
comparisons are JSONL in the format of the HH data, ``{"chosen": transcript, "rejected": transcript}``.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import IO, Any, TypeAlias

from constitutions_app.core.principles import digest_of_text, normalise
from training_app.core.dataset_files import USUAL, Columns, choice_of, prompt_of, rows_of
from training_app.core.datasets import (
    ASSISTANT,
    canonical_jsonl,
    normalise_ends,
    parse_transcript,
    same_prompt,
)
from training_app.core.errors import BadInput
from training_app.core.rows import Message, messages_of, text_of
from training_app.core.seen import Seen
from training_app.models import PromptSet
from training_app.refusals import PromptFileRefused

NumberedRow = tuple[int, dict[str, Any] | str]

LARGEST_FILE = 64 * 2**20
"""Bytes of a file that is sent through the web."""
LARGEST_UNPACKED = 16 * LARGEST_FILE
"""Bytes a packed one of those may unpack to."""
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


Item: TypeAlias = ReadPrompt | ReadChoice


@dataclass(frozen=True)
class ReadPrompts:
    """A whole file, checked. `digest` is the sha256 of its items as canonical JSONL: white space and key order do not
    count. The items are read again each time they are asked for, so that a million take no more memory than one."""

    rows: int
    digest: str
    each: Callable[[], Iterator[Item]]
    repeated: int = 0
    """Rows of another project's file that said what an earlier one had said."""

    @classmethod
    def of(cls, items: Sequence[Item]) -> ReadPrompts:
        """Items that stand in memory already."""
        return cls(len(items), digest_of_text(canonical_jsonl(map(asdict, items))), lambda: iter(items))

    @property
    def prompts(self) -> tuple[ReadPrompt, ...]:
        """All prompts at once."""
        return tuple(item for item in self.each() if isinstance(item, ReadPrompt))

    @property
    def choices(self) -> tuple[ReadChoice, ...]:
        """All comparisons at once."""
        return tuple(item for item in self.each() if isinstance(item, ReadChoice))


@dataclass
class PromptFile:
    """An open file of one kind, and how it is to be read: ours, or one that `core.dataset_files` knows.

    `name` tells text and CSV apart; `columns` name what stands where; `chosen_by` says which field of PKU-SafeRLHF
    chooses. A gzip file may unpack to `most_unpacked` bytes.
    """

    file: IO[bytes]
    kind: str
    name: str = ""
    columns: Columns = USUAL
    chosen_by: str = CHOSEN_BY[0]
    most_unpacked: float = LARGEST_UNPACKED
    repeated: int = 0
    """Rows passed over by the last reading because they said what an earlier one had said."""

    def read(self) -> ReadPrompts:
        """Check the whole file. Raises PromptFileRefused with a sentence for each bad line."""
        digest, rows = hashlib.sha256(), 0
        for item in self.each():
            digest.update(canonical_jsonl([asdict(item)]).encode("utf-8"))
            rows += 1
        return ReadPrompts(rows, digest.hexdigest(), self.each, self.repeated)

    def each(self) -> Iterator[Item]:
        """Every item once, one at a time. Raises PromptFileRefused at the end, or when very many lines are bad.

        In a file of ours a repeated prompt is refused; in another project's it is taken once and counted.
        """
        problems: list[str] = []
        self.repeated = count = 0
        rows, ours = self._begun()
        with Seen() as seen:
            for number, row in rows:
                try:
                    item = self._item(row, number, ours=ours)
                    if twin := _twin(seen, item, number):
                        if ours:
                            raise ValueError(f"the same {twin[1]} stands already on line {twin[0]}")
                        self.repeated += 1
                        continue
                except BadInput as error:
                    problems.append(f"Line {number}: {error.message.removeprefix(f'Line {number}: ').rstrip('.')}.")
                except ValueError as error:
                    problems.append(f"Line {number}: {error}.")
                else:
                    count += 1
                    yield item
                if len(problems) == WORST:
                    break
        if problems:
            raise PromptFileRefused(tuple(problems))
        if not count:
            raise PromptFileRefused(("The file holds no line. Put one JSON object on each line.",))

    def _begun(self) -> tuple[Iterator[NumberedRow], bool]:
        self.file.seek(0)
        return _begun(rows_of(self.file, self.name.lower(), most_unpacked=self.most_unpacked))

    def _item(self, row: dict[str, Any] | str, number: int, *, ours: bool) -> Item:
        if isinstance(row, str):
            raise ValueError(row)
        if self.kind == PromptSet.Kind.COMPARISONS:
            return _choice(choice_of(row, number, by=self.chosen_by, columns=self.columns))
        column = self.columns.prompt
        return _prompt(row if ours and not column else {"text": prompt_of(row, column)}, self.kind)


def read_prompt_file(content: bytes, kind: str, **how: Any) -> ReadPrompts:
    """A small file that stands in memory; `how` as `PromptFile` has it. Raises PromptFileRefused."""
    check_kind(kind)
    if len(content) > LARGEST_FILE:
        raise PromptFileRefused((f"The file is larger than {LARGEST_FILE // 2**20} MiB; split it into several sets.",))
    return PromptFile(io.BytesIO(content), kind, **how).read()


def check_kind(kind: str) -> None:
    """Raises PromptFileRefused for a kind that there is not."""
    if kind not in PromptSet.Kind.values:
        raise PromptFileRefused((f"There is no kind {kind!r}; choose {', '.join(PromptSet.Kind.values)}.",))


def _twin(seen: Seen, item: Item, number: int) -> tuple[int, str] | None:
    """Where something with the same text or the same id stands already, and which of the two it is."""
    text = same_prompt(_whole(item)) if isinstance(item, ReadPrompt) else item.key
    for what, key in (("prompt", text), ("id", item.key)):
        if (first := seen.first(what, key, number)) != number:
            return first, what
    return None


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
