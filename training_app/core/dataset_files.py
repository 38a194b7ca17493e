"""Files as other projects publish them, row by row: each row as one of our prompts or human comparisons.

Containers, found by their content (text and CSV by the name's ending): gzip around any of them; Parquet; a JSON array;
JSON lines; CSV with a header; lines of text, each a prompt. They are read one row at a time (Parquet by batches), so
that the size does not count.

Rows, found by their fields:

* prompts: ``{"text"}`` (ours), or a "prompt", "question" or "instruction"; Anthropic's red-team attempts, whose prompt
  is the first turn of "transcript" (the answers are another model's); cai-conversation-harmless ("init_prompt").
* comparisons: HH transcripts "chosen" and "rejected"; the same as lists of messages (cai-conversation-harmless,
  UltraFeedback-binarized); PKU-SafeRLHF, where "safer_response_id" chooses, or "better_response_id" if asked for.

What is left out: scores, severity and the like, which a comparison has no place for; ties.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from training_app.core.datasets import parse_hh_line

Row = dict[str, Any]
PROMPT_COLUMNS = ("text", "prompt", "question", "instruction", "init_prompt")
LONGEST_ROW = 8 * 2**20
"""Bytes: a longer line is no row of any of these."""
PARQUET, GZIP = b"PAR1", b"\x1f\x8b"
CHUNK = 500
_GAP = re.compile(r"[\s,]*")


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, where they are none of those known: the prompt, and of comparisons the two responses."""

    prompt: str = ""
    chosen: str = ""
    rejected: str = ""


USUAL = Columns()
"""The columns this file finds by itself."""


def rows_of(file: IO[bytes], name: str = "", *, most_unpacked: float = math.inf) -> Iterator[tuple[int, Row | str]]:
    """Every row with its number from 1 (lines, for files of lines): the row, or what is wrong with it as a reason.

    A gzip file may hold at most `most_unpacked` bytes, since a small one can unpack to any size.
    """
    head = file.read(4)
    file.seek(0)
    if head[:2] == GZIP:
        yield from _packed_rows(file, name.removesuffix(".gz"), most_unpacked)
    elif head == PARQUET:
        yield from _parquet_rows(file)
    else:
        yield from _plain_rows(file, name)


def prompt_of(row: Mapping[str, Any], column: str = "") -> str:
    """The prompt a foreign row holds. `column` names the one to read. Raises ValueError with the reason."""
    if isinstance(transcript := row.get("transcript"), str) and not column:
        first = transcript.lstrip().removeprefix("Human:").partition("\n\nAssistant:")[0]
        return first.strip()
    for name in (column,) if column else PROMPT_COLUMNS:
        if isinstance(value := row.get(name), str) and value.strip():
            return value.strip()
    raise ValueError(f"no text in {' or '.join((column,) if column else PROMPT_COLUMNS)}")


def choice_of(row: Mapping[str, Any], number: int, *, by: str = "safer_response_id", columns: Columns = USUAL) -> Row:
    """A comparison ``{"id", "prompt", "messages", "chosen", "rejected"}``. Raises ValueError with the reason.

    With `columns` of responses, they are read from there and the prompt as `prompt_of` finds it.
    """
    if columns.chosen or columns.rejected:
        texts = [row.get(name) for name in (columns.chosen, columns.rejected)]
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f"no text in {columns.chosen or 'the column of the better response'}"
                             f" or {columns.rejected or 'that of the other'}")  # fmt: skip
        asked = prompt_of(row, columns.prompt)
        return _choice([{"role": "user", "content": asked}], str(texts[0]), str(texts[1]))
    if isinstance(row.get("chosen"), str):
        return parse_hh_line(json.dumps({side: row.get(side) for side in ("chosen", "rejected")}, default=str), number)
    if "response_0" in row:
        return _of_two(row, by)
    chosen: Any = row.get("chosen")
    rejected: Any = row.get("rejected")
    if not _is_conversation(chosen) or not _is_conversation(rejected):
        raise ValueError('no comparison: "chosen" and "rejected", or "response_0" and "response_1", are needed')
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in chosen[:-1]]
    if [turn["content"] for turn in messages] != [turn["content"] for turn in rejected[:-1]]:
        raise ValueError("the two conversations differ before their last answers")
    return _choice(messages, chosen[-1]["content"], rejected[-1]["content"])


def _of_two(row: Mapping[str, Any], by: str) -> Row:
    responses = [row.get("response_0"), row.get("response_1")]
    better = row.get(by)
    if not all(isinstance(text, str) for text in responses) or better not in (0, 1):
        raise ValueError(f'"response_0", "response_1" and "{by}" (0 or 1) are needed')
    return _choice(
        [{"role": "user", "content": prompt_of(row, "prompt")}], str(responses[better]), str(responses[1 - better])
    )


def _is_conversation(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(turn, dict) and isinstance(turn.get("content"), str) and "role" in turn for turn in value)
        and value[-1]["role"] == "assistant"
        and value[-2]["role"] == "user"
    )


def _choice(messages: list[dict[str, str]], chosen: str, rejected: str) -> Row:
    if chosen.strip() == rejected.strip():
        raise ValueError("the two responses are identical")
    body = json.dumps([messages, chosen, rejected], ensure_ascii=False)
    return {
        "id": f"pair-{hashlib.sha256(body.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}",
        "prompt": messages[-1]["content"],
        "messages": messages,
        "chosen": chosen.strip(),
        "rejected": rejected.strip(),
    }


# Containers


class _Unpacked(gzip.GzipFile):
    """A gzip file that ends with OSError where it has given more bytes than it may."""

    def __init__(self, file: IO[bytes], most: float) -> None:
        super().__init__(fileobj=file)
        self.left = most

    def readline(self, size: int | None = -1) -> bytes:
        line: bytes = super().readline(size)
        self.left -= len(line)
        if self.left < 0:
            raise OSError("it unpacks to more than is allowed")
        return line


def _packed_rows(file: IO[bytes], name: str, most: float) -> Iterator[tuple[int, Row | str]]:
    number = 0
    try:
        with _Unpacked(file, most) as inside:
            for number, row in _plain_rows(inside, name):
                yield number, row
    except (EOFError, OSError, zlib.error) as error:
        yield number + 1, f"the packed file breaks off or is damaged here ({error})"


def _plain_rows(file: IO[bytes] | gzip.GzipFile, name: str) -> Iterator[tuple[int, Row | str]]:
    lines = enumerate(iter(lambda: file.readline(LONGEST_ROW + 1), b""), start=1)
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        return
    every = itertools.chain([(first[0], first[1].removeprefix(b"\xef\xbb\xbf"))], lines)
    if first[1].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        yield from _array_rows(every)
    elif name.endswith((".csv", ".tsv")):
        yield from _csv_rows(every, "\t" if name.endswith(".tsv") else ",")
    else:
        as_text = name.endswith(".txt")
        yield from ((number, _row(line, as_text=as_text)) for number, line in every if line.strip())


def _row(line: bytes, *, as_text: bool) -> Row | str:
    if len(line) > LONGEST_ROW:
        return f"longer than {LONGEST_ROW // 2**20} MiB"
    try:
        text = line.decode("utf-8")
        value = {"text": text.strip()} if as_text else json.loads(text)
    except UnicodeDecodeError as error:
        return f"not UTF-8 text (byte {error.start + 1})"
    except json.JSONDecodeError as error:
        return f"not JSON ({error.msg} at column {error.colno})"
    except RecursionError:
        return "the JSON is nested too deeply"
    return value if isinstance(value, dict) else f"an object is needed, found {type(value).__name__}"


def _array_rows(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, Row | str]]:
    """Elements of one JSON array, decoded one after the other; numbered by their place. A broken one ends the file."""
    decoder, number = json.JSONDecoder(), 0
    pieces = (line.decode("utf-8", "replace") for _, line in lines)
    held = next(pieces)
    place = held.index("[") + 1
    while True:
        if gap := _GAP.match(held, place):
            place = gap.end()
        if held.startswith("]", place):
            return
        try:
            value, place = decoder.raw_decode(held, place)
        except (json.JSONDecodeError, RecursionError):
            more = next(pieces, None) if len(held) - place <= LONGEST_ROW else None
            if more is None:
                yield number + 1, "not JSON: the array ends or breaks here"
                return
            held, place = held[place:] + more, 0
            continue
        number += 1
        yield number, value if isinstance(value, dict) else {"text": value} if isinstance(value, str) else "no object"


def _csv_rows(lines: Iterator[tuple[int, bytes]], separator: str) -> Iterator[tuple[int, Row | str]]:
    text = (line.decode("utf-8", "replace") for _, line in lines)
    reader = csv.DictReader(text, delimiter=separator)
    try:
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name and isinstance(value, str)}
    except csv.Error as error:
        yield reader.line_num, f"no CSV: {error}"


def _parquet_rows(file: IO[bytes]) -> Iterator[tuple[int, Row | str]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        batches = parquet.ParquetFile(file).iter_batches(batch_size=CHUNK)
        rows = (row for batch in batches for row in batch.to_pylist())
        yield from enumerate(rows, start=1)
    except pa.ArrowInvalid as error:
        yield 1, f"no Parquet: {str(error)[:200]}"
