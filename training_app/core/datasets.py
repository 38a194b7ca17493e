"""What was recorded becomes what is trained on: steps and labels into trainer rows, every item left out counted.

* SL-CAI rows (paper, section 3.1): the revisions of all rounds with their prompt, plus the helpfulness samples.
* Preference rows (section 4.2) are made in `preferences.py`.
* A split puts a *prompt* on one side, chosen by the digest of its text: the same prompt falls on the same side in every
  run that holds out the same share, and never on both.

Everything is a pure function of its arguments, in an order that depends only on ids: equal records, equal digests.
What is left out: reading the database, and turning rows into tokens (`formatting.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from constitutions_app.core.principles import digest_of_text, normalise
from training_app.core.errors import BadInput
from training_app.core.gate import DROPPED, dropping_flag

Row = dict[str, Any]
Item = TypeVar("Item")


HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True)
class Excluded:
    """An item that was not taken, and the reason in words."""

    id: str
    reason: str


@dataclass(frozen=True)
class Build:
    """The rows of one training set, exactly as a stage will read them, and everything that was left out."""

    name: str
    rows: tuple[Row, ...]
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """The rows as canonical JSONL."""
        return canonical_jsonl(self.rows)

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSONL."""
        return digest_of_text(self.text)

    @property
    def counts(self) -> dict[str, int]:
        """Rows per source, e.g. ``{"revision": 72, "helpful": 18}``."""
        return dict(sorted(Counter(str(row["source"]) for row in self.rows).items()))

    @property
    def reasons(self) -> dict[str, int]:
        """Items left out per reason."""
        return dict(sorted(Counter(item.reason for item in self.excluded).items()))

    def rules(self) -> dict[str, Any]:
        """What to keep beside the digest: how many rows, from where, and what was left out why."""
        return {"counts": self.counts, "excluded": self.reasons, "notes": list(self.notes)}

    def write(self, path: Path) -> str:
        """Write the rows to `path`, whole or not at all, and return their digest."""
        write_text(path, self.text)
        return self.digest


def sft_rows(
    steps: Iterable[Mapping[str, Any]],
    responses: Iterable[Mapping[str, Any]],
    *,
    rounds: str = "all",
    dropped: Sequence[str] = DROPPED,
    name: str = "sl-cai",
) -> Build:
    """Rows ``{"id", "messages", "source"}`` from "step" and "response" records. `rounds` is "all" (paper) or "last".

    `dropped`: flags that keep a revision out (`gate.py`); an empty revision is never taken.
    """
    if rounds not in ("all", "last"):
        raise BadInput(f'Rounds should be "all" or "last", not {rounds!r}.')
    answers = sorted(responses, key=lambda row: str(row["prompt_id"]))
    asked = {str(row["prompt_id"]): row.get("messages") for row in answers}
    ordered = sorted(steps, key=lambda row: (str(row["prompt_id"]), int(row["round"])))
    last = {str(row["prompt_id"]): int(row["round"]) for row in ordered}
    rows: list[Row] = []
    excluded: list[Excluded] = []
    for step in ordered:
        key, prompt_id = f"{step['prompt_id']}/{step['round']}", str(step["prompt_id"])
        if flag := dropping_flag(step, dropped):
            excluded.append(Excluded(key, f"flagged {flag}"))
        elif rounds == "last" and int(step["round"]) != last[prompt_id]:
            excluded.append(Excluded(key, "not the last round"))
        else:
            prompt = step.get("messages") or asked.get(prompt_id) or _user(step["prompt"])
            rows.append({"id": key, "messages": [*prompt, _assistant(step["revision"])], "source": "revision"})
    for answer in answers:
        if answer["kind"] != "helpful":
            continue
        if not answer["text"].strip():
            excluded.append(Excluded(str(answer["prompt_id"]), "empty helpfulness sample"))
            continue
        prompt = answer.get("messages") or _user(answer["prompt"])
        rows.append(
            {"id": str(answer["prompt_id"]), "messages": [*prompt, _assistant(answer["text"])], "source": "helpful"}
        )
    return Build(name, tuple(rows), tuple(excluded))


def harmlessness_share(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """Share of the loss weight that AI and audited labels carry; None when nothing weighs anything.

    Above one half the reward model learns mostly to avoid: the cure is a larger weight for the human comparisons.
    """
    weights = Counter[str]()
    for row in rows:
        weights["human" if row["source"] == "human" else "ai"] += row["weight"]
    total = sum(weights.values())
    return weights["ai"] / total if total else None


# Splits


def split_by_prompt(
    items: Sequence[Item], fraction: float, *, text: Callable[[Item], str] | None = None
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """`items` as (training, held out), by the digest of the prompt: about `fraction` of the prompts are held out.

    With at least two different prompts and 0 < fraction < 1 neither side is empty. `text` reads an item's prompt;
    without it items are rows with "messages", "prompt" or "text". Raises BadInput for a fraction outside 0..1.
    """
    if not 0 <= fraction <= 1:
        raise BadInput(f"The held-out share should be between 0 and 1, not {fraction!r}.")
    read = text or prompt_text
    places = [_place(read(item)) for item in items]
    threshold = fraction
    if 0 < fraction < 1 and len(set(places)) > 1:
        ordered = sorted(set(places))
        threshold = min(max(fraction, ordered[1]), ordered[-1])
    train = tuple(item for item, place in zip(items, places, strict=True) if place >= threshold)
    heldout = tuple(item for item, place in zip(items, places, strict=True) if place < threshold)
    return train, heldout


def refuse_leak(
    train: Iterable[Mapping[str, Any]],
    heldout: Iterable[Mapping[str, Any]],
    *,
    text: Callable[[Mapping[str, Any]], str] | None = None,
) -> None:
    """Raise BadInput, naming both rows, when a prompt stands in training and in the held-out data."""
    read = text or prompt_text
    trained = {same_prompt(read(row)): row for row in train}
    for row in heldout:
        if (twin := trained.get(same_prompt(read(row)))) is not None:
            raise BadInput(
                f"The prompt of held-out row {_name(row)} is also in the training row {_name(twin)}.",
                "Split by prompt: a prompt that is trained on cannot measure anything.",
            )


def prompt_text(row: Any) -> str:
    """The whole question of a row: its conversation without a final answer, else its "prompt" or "text"."""
    if messages := row.get("messages"):
        turns = messages[:-1] if messages[-1]["role"] == "assistant" else messages
        return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns) if len(turns) > 1 else _only(turns)
    return str(row["prompt"] if "prompt" in row else row["text"])


def same_prompt(text: str) -> str:
    """What makes two prompts one: Unicode form, white space and letter case do not count. 64 hexadecimal digits."""
    return digest_of_text(" ".join(normalise(text).casefold().split()))


def _place(text: str) -> float:
    """A number in [0, 1) that depends on the prompt alone."""
    return int(same_prompt(text)[:12], 16) / float(16**12)


# Transcripts in the format of Anthropic's HH data (human comparisons)


def parse_hh_line(line: str, number: int) -> Row:
    """One HH row ``{"chosen", "rejected"}`` as ``{"id", "prompt", "messages", "chosen", "rejected"}``.

    The two transcripts share everything up to the last "Assistant:" of their common beginning; what follows are the two
    responses. So a response that quotes "Assistant:" stays whole. Raises BadInput naming line and reason.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadInput(f"Line {number}: not JSON ({error.msg} at column {error.colno}).") from error
    if not isinstance(row, dict) or not all(isinstance(row.get(side), str) for side in ("chosen", "rejected")):
        raise BadInput(f'Line {number}: an object with the texts "chosen" and "rejected" is needed.')
    chosen, rejected = normalise_ends(row["chosen"]), normalise_ends(row["rejected"])
    shared = common_beginning(chosen, rejected)
    cut = shared.rfind(ASSISTANT)
    if cut < 0:
        raise BadInput(f'Line {number}: the transcripts share no beginning up to an "Assistant:" turn.')
    answers = [side[cut + len(ASSISTANT) :].strip() for side in (chosen, rejected)]
    if answers[0] == answers[1]:
        raise BadInput(f"Line {number}: the two responses are identical.")
    messages = parse_transcript(shared[:cut], number)
    digest = hashlib.sha256(f"{chosen}\0{rejected}".encode()).hexdigest()
    return {
        "id": f"hh-{digest[:16]}",
        "prompt": messages[-1]["content"],
        "messages": messages,
        "chosen": answers[0],
        "rejected": answers[1],
    }


def common_beginning(one: str, other: str) -> str:
    """The longest text that both begin with."""
    for position, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return one[:position]
    return min(one, other, key=len)


def parse_transcript(text: str, number: int) -> list[dict[str, str]]:
    """A transcript as messages that begin and end with the person; turns of one side in a row are joined."""
    parts = _TURN.split(text)
    if parts[0].strip():
        raise BadInput(f'Line {number}: the transcript should begin with "Human:", not {parts[0].strip()[:40]!r}.')
    messages: list[dict[str, str]] = []
    for speaker, content in zip(parts[1::2], parts[2::2], strict=True):
        role, said = _ROLES[speaker], content.strip()
        if messages and messages[-1]["role"] == role:
            messages[-1] = {"role": role, "content": f"{messages[-1]['content']}\n\n{said}".strip()}
        else:
            messages.append({"role": role, "content": said})
    if not messages or messages[0]["role"] != "user" or messages[-1]["role"] != "user":
        raise BadInput(
            f"Line {number}: before the responses, the transcript should go from a Human turn to a Human turn."
        )
    if empty := [turn["role"] for turn in messages if not turn["content"]]:
        raise BadInput(f"Line {number}: a turn of the {empty[0]} is empty.")
    return messages


def parse_hh(lines: Iterable[str]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Every good line as a row, every other as a sentence "Line n: …"; empty lines are passed over, repeats refused."""
    rows: dict[str, Row] = {}
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_hh_line(line, number)
        except BadInput as error:
            problems.append(error.message)
            continue
        if row["id"] in rows:
            problems.append(f"Line {number}: the same comparison stands on an earlier line.")
        else:
            rows[row["id"]] = row
    return tuple(rows.values()), tuple(problems)


# Canonical JSONL


def canonical_jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    """One JSON object a line: keys sorted, no white space, UTF-8 as it is, no NaN; a line end after every row."""
    return "".join(
        json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
        for row in rows
    )


def write_text(path: Path, text: str) -> None:
    """Write aside, fsync, rename: readers see the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def normalise_ends(text: str) -> str:
    """Line ends as ``\\n`` without NUL; unlike `normalise` the white space around a transcript stays."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def _user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _only(turns: Sequence[Mapping[str, Any]]) -> str:
    return str(turns[0]["content"]) if turns else ""


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("id", row.get("prompt_id", "without an id")))
