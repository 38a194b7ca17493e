"""Traces as the authors of arXiv 2212.08073 published them, read line by line.

One JSON object a line: ``{"rl_prompt": transcript, "initial_response": [{"sample"}], "cst": [{"cst_key": "harmful10",
"cst_value": {"prompt": [critique request], "edit_request": revision request}, "critique": {"sample"}, "revision":
{"sample"}}, …]}``, one entry of "cst" a round. Each round names its principle by a key of the paper's own list.
What is left out: the few-shot examples the model was sent, which these files do not hold; "comparison_dataset".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from constitutions_app.core.interchange.paper import unmarked
from constitutions_app.core.principles import normalise
from training_app.core.datasets import ASSISTANT, normalise_ends, parse_transcript
from training_app.core.errors import BadInput

LONGEST_QUOTE = 80


@dataclass(frozen=True)
class ReadRound:
    """One critique and revision; `key` names the principle as the file does. The requests stand without marks."""

    key: str
    critique_request: str
    critique: str
    revision_request: str
    revision: str


@dataclass(frozen=True)
class ReadTrace:
    """One line: a (partial) conversation that ends with the person, the first answer, and the rounds in order."""

    line: int
    messages: tuple[dict[str, str], ...]
    initial_response: str
    rounds: tuple[ReadRound, ...]

    @property
    def prompt(self) -> str:
        """The person's last turn."""
        return self.messages[-1]["content"]


@dataclass(frozen=True)
class Misread:
    """A place that was not understood. `line` counts from 1; 0 is the file as a whole."""

    line: int
    text: str
    reason: str

    @property
    def sentence(self) -> str:
        """For people: the line, what stands there, and why it was not understood."""
        place = f"Line {self.line}: " if self.line else ""
        return f"{place}{self.reason}{f' [{self.text}]' if self.text else ''}"


def read_traces(lines: Iterable[bytes]) -> Iterator[ReadTrace | Misread]:
    """Every line that is not empty, as a trace or as what is wrong with it. Holds one line at a time."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _trace(line.removeprefix(b"\xef\xbb\xbf").decode("utf-8"), number)
        except UnicodeDecodeError as error:
            yield Misread(number, "", f"This is not UTF-8 text (byte {error.start + 1}).")
        except BadInput as error:
            yield Misread(number, "", error.message.removeprefix(f"Line {number}: "))
        except RecursionError:
            yield Misread(number, "", "The JSON is nested too deeply.")
        except ValueError as error:
            yield Misread(number, line[:LONGEST_QUOTE].decode("utf-8", "replace"), str(error))


def _trace(line: str, number: int) -> ReadTrace:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"This is not JSON ({error.msg} at column {error.colno}).") from error
    if not isinstance(row, dict) or not isinstance(row.get("rl_prompt"), str) or not isinstance(row.get("cst"), list):
        raise ValueError('An object with "rl_prompt" (a transcript) and "cst" (a list of rounds) is needed.')
    asked = normalise_ends(row["rl_prompt"]).rstrip().removesuffix(ASSISTANT.strip()).rstrip()
    messages = tuple(
        {"role": turn["role"], "content": normalise(turn["content"])}
        for turn in parse_transcript(f"\n\n{asked.lstrip()}", number)
    )
    rounds = tuple(_round(entry, place) for place, entry in enumerate(row["cst"], start=1))
    return ReadTrace(number, messages, _sample(row.get("initial_response"), "initial_response"), rounds)


def _round(entry: Any, place: int) -> ReadRound:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("cst_key"), str) or not entry["cst_key"].strip():
        raise ValueError(f'Round {place} has no "cst_key", the name of its principle.')
    value = entry.get("cst_value")
    wording = value if isinstance(value, Mapping) else {}
    return ReadRound(
        key=entry["cst_key"].strip(),
        critique_request=unmarked(_first(wording.get("prompt"))),
        critique=_sample(entry.get("critique"), f"critique of round {place}"),
        revision_request=unmarked(_first(wording.get("edit_request"))),
        revision=_sample(entry.get("revision"), f"revision of round {place}"),
    )


def _sample(value: Any, name: str) -> str:
    """The text of ``{"sample": text}`` or of a list of exactly one such object."""
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(one, Mapping) or not isinstance(one.get("sample"), str):
        raise ValueError(f'The {name} should be one object with the text "sample".')
    return normalise(one["sample"])


def _first(value: Any) -> str:
    one = value[0] if isinstance(value, list) and value else value
    return one if isinstance(one, str) else ""
