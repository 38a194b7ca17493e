"""Answers out of any JSONL file: which column holds them is found, not asked, and every bad line is named.

Known shapes: one text column ("answer", "response", "completion" …), a list of samples in a row, chat messages, OpenAI
choices, HH transcripts ("chosen" and "rejected"; the last assistant turn is the answer), the paper's published samples
and traces, a line that is a plain JSON string. A row with one text column beside its prompt needs no known name.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_app.core.errors import BadInput

ANSWERS = (
    "sampled_string", "answer", "response", "completion", "output", "generation", "generated_text", "model_output",
    "prediction", "reply", "assistant", "revision", "text", "content", "sample", "transcript",
)  # fmt: skip
"""Columns that hold one answer, the surest first."""

PAIRS = (("chosen", "rejected"), ("response_a", "response_b"), ("response_0", "response_1"))
LISTS = ("sampled_answers", "answers", "responses", "completions", "outputs", "generations", "samples", "choices")
CHATS = ("messages", "conversation", "conversations")
PROMPTS = ("rl_prompt", "prompt", "question", "instruction", "query", "input", "prompt_id")
NOT_ANSWERS = frozenset(
    {*PROMPTS, "id", "model", "kind", "source", "dataset", "comparison_dataset", "finish", "license"}
)

LONGEST_LINE = 8 * 2**20
"""Bytes of the longest line that is read."""

WORST = 20
"""So many bad lines are named."""

_ASSISTANT = re.compile(r"(?:^|\n)\s*Assistant:")
_NEXT_TURN = re.compile(r"\s*\n\s*(?:Human|Assistant)\s*:?\s*$|\n\s*(?:Human|Assistant):.*", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """One answer; `prompt` tells which answers reply to the same thing (the line's number where no prompt is given)."""

    prompt: str
    text: str


def read_answers(path: Path) -> list[Answer]:
    """Every answer of a JSONL file, plain or gzip. Raises BadInput naming the bad lines, or that there is none."""
    answers: list[Answer] = []
    problems: list[str] = []
    for number, line in numbered_lines(path):
        try:
            answers += answers_of(json.loads(line), number)
        except (ValueError, RecursionError) as error:
            problems.append(f"Line {number}: {reason_of(error)}.")
            if len(problems) == WORST:
                break
    if problems:
        raise BadInput(f"{path.name} cannot be read.", "\n".join(problems))
    if not answers:
        raise BadInput(f"{path.name} holds no line.", "Put one JSON object on each line.")
    return answers


def numbered_lines(path: Path, *, most_bytes: float = math.inf) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1. gzip is known by its first bytes.

    Raises BadInput for a file that cannot be read, a line longer than `LONGEST_LINE`, or more than `most_bytes` in all
    (unpacked: a small gzip file can hold a very large text).
    """
    try:
        with path.open("rb") as start:
            is_gzip = start.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            number, read = 0, 0
            while line := file.readline(LONGEST_LINE + 1):
                number, read = number + 1, read + len(line)
                if len(line) > LONGEST_LINE or read > most_bytes:
                    raise BadInput(f"{path.name}, line {number}: the line or the whole file is too long.")
                if plain := line.removeprefix(b"\xef\xbb\xbf").strip():
                    yield number, plain
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def reason_of(error: Exception) -> str:
    """Why a line is bad, in a few words."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at column {error.colno})"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (byte {error.start + 1})"
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    return str(error)


def answers_of(row: Any, number: int) -> list[Answer]:
    """The answers of one line, by the shapes above. Raises ValueError when none is found."""
    if isinstance(row, str):
        return [Answer(f"line {number}", last_answer(row))]
    if not isinstance(row, Mapping):
        raise ValueError(f"an object or a text is needed, found {type(row).__name__}")
    prompt = next((str(row[name]) for name in PROMPTS if isinstance(row.get(name), str)), f"line {number}")
    return [Answer(prompt, last_answer(text)) for text in _texts(row)]


def last_answer(text: str) -> str:
    """The last assistant turn of a transcript, without a turn begun after it; any other text as it is, stripped."""
    begun = [match.end() for match in _ASSISTANT.finditer(text)]
    return _NEXT_TURN.sub("", text[begun[-1] :] if begun else text).strip()


def _texts(row: Mapping[str, Any]) -> list[str]:
    for first, second in PAIRS:
        if isinstance(row.get(first), str) and isinstance(row.get(second), str):
            return [row[first], row[second]]
    for name in LISTS:
        if isinstance(row.get(name), list) and row[name]:
            return [_one(part, name) for part in row[name]]
    for name in CHATS:
        if isinstance(row.get(name), list):
            return [_last_said(row[name], name)]
    if isinstance(row.get("cst"), list) and row["cst"]:  # the paper's traces: the last revision is the answer
        return [_one(row["cst"][-1].get("revision"), "cst") if isinstance(row["cst"][-1], Mapping) else ""]
    return [_column(row)]


def _column(row: Mapping[str, Any]) -> str:
    for name in ANSWERS:
        if isinstance(row.get(name), str):
            return str(row[name])
    others = [name for name, value in row.items() if isinstance(value, str) and name not in NOT_ANSWERS]
    if len(others) == 1:
        return str(row[others[0]])
    found = ", ".join(map(str, list(row)[:8])) or "nothing"
    raise ValueError(f"no column of answers: found {found[:200]}; name it answer, response, completion or text")


def _one(part: Any, name: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        inner = part["message"] if isinstance(part.get("message"), Mapping) else part
        return _column(inner)
    raise ValueError(f"{name} should list texts or objects, found {type(part).__name__}")


def _last_said(messages: Iterable[Any], name: str) -> str:
    """The last thing the assistant says; names as OpenAI has them ("role", "content") or ShareGPT ("from", "value")."""
    said = ""
    for message in messages:
        if not isinstance(message, Mapping):
            raise ValueError(f"{name} should list objects, found {type(message).__name__}")
        if message.get("role", message.get("from")) in ("assistant", "gpt", "model"):
            said = str(message.get("content", message.get("value", "")))
    if not said:
        raise ValueError(f"{name} holds no answer of the assistant")
    return said
