"""JSON whose parts know their lines, for reasons that name a line.

The standard parser does the work; a second walk over the first levels notes where each part begins and finds names that
stand twice (the parser would silently keep the last). Deep nesting, halves of surrogate pairs and endless numbers are
refused or repaired here, so that what comes out is safe to digest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from json.decoder import JSONDecoder
from typing import Any

from constitutions_app.core.interchange.documents import Document

Path = tuple[str | int, ...]

MAX_DEPTH = 32
_INDEXED_DEPTH = 4
_SPACE = re.compile(r"[ \t\n\r]*")
_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")
_DECODER = JSONDecoder()


@dataclass(frozen=True)
class Located:
    """Parsed data and the line, from 1, in which each part of it begins."""

    value: Any
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, *path: str | int) -> int:
        """The line where the part at `path` begins, or where the nearest known part around it does."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1


def parse(document: Document) -> Located | None:
    """The document as located data, or None with the reason in the document's remarks."""
    text, remarks = document.text, document.remarks
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if not text.strip():
            if not remarks.items:
                remarks.add(1, "", "The file is empty.")
            return None
        line = document.lines[min(error.lineno, len(document.lines)) - 1]
        remarks.add(error.lineno, line, _reason(document, error))
        return None
    except RecursionError:
        remarks.add(1, "", "The JSON is nested far too deeply.")
        return None
    except ValueError:
        remarks.add(1, "", "The JSON holds a number with far too many digits.")
        return None
    if depth_of(value) > MAX_DEPTH:
        remarks.add(1, "", f"The JSON is nested more than {MAX_DEPTH} levels deep.")
        return None
    lines: dict[Path, int] = {}
    start = _skip(text, 0)
    for path, offset in _walk(text, start, (), document):
        lines[path] = document.line_at(offset)
    if "\\ud" in text.lower():
        value = _whole(value, lines, document)
    return Located(value, lines)


def _reason(document: Document, error: json.JSONDecodeError) -> str:
    """Why this is no JSON, in a sentence. What people write most often, a comma too many, is named."""
    before = document.text[: error.pos].rstrip()
    if before.endswith(",") and document.text[error.pos : error.pos + 1] in ("]", "}"):
        return f"Not JSON: nothing follows the comma before column {error.colno}; take it out."
    return f"Not JSON: {error.msg.removesuffix(' at')} at column {error.colno}."


def depth_of(value: Any) -> int:
    """How many levels of lists and mappings lie in one another; counted without recursion."""
    deepest, stack = 0, [(value, 1)]
    while stack:
        part, depth = stack.pop()
        if isinstance(part, dict | list):
            deepest = max(deepest, depth)
            if depth > 10 * MAX_DEPTH:
                return deepest
            parts = part.values() if isinstance(part, dict) else part
            stack.extend((inner, depth + 1) for inner in parts if isinstance(inner, dict | list))
    return deepest


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _walk(text: str, at: int, path: Path, document: Document) -> Iterator[tuple[Path, int]]:
    """Where each part down to some levels begins. The text is known to be JSON."""
    yield path, at
    if len(path) >= _INDEXED_DEPTH or text[at] not in "{[":
        return
    in_mapping = text[at] == "{"
    at, position = _skip(text, at + 1), 0
    seen: set[str] = set()
    while text[at] not in "}]":
        name: str | int = position
        if in_mapping:
            began = at
            name, at = _DECODER.raw_decode(text, at)
            if name in seen:
                document.remarks.add(
                    document.line_at(began),
                    str(name),
                    f"The name {name!r} stands here a second time; the last one counts.",
                )
            seen.add(str(name))
            at = _skip(text, _skip(text, at) + 1)
        yield from _walk(text, at, (*path, name), document)
        _, at = _DECODER.raw_decode(text, at)
        at, position = _skip(text, at), position + 1
        if text[at] == ",":
            at = _skip(text, at + 1)


def _whole(value: Any, lines: Mapping[Path, int], document: Document, path: Path = ()) -> Any:
    """The same data with � for each half of a surrogate pair, which no UTF-8 text can hold."""
    if isinstance(value, str):
        if not _HALF_OF_A_PAIR.search(value):
            return value
        clean = _HALF_OF_A_PAIR.sub("�", value)
        line = Located(None, lines).line(*path)
        document.remarks.add(line, clean, "Half of a surrogate pair is no character; � stands for it.")
        return clean
    if isinstance(value, list):
        return [_whole(part, lines, document, (*path, index)) for index, part in enumerate(value)]
    if isinstance(value, dict):
        return {
            _HALF_OF_A_PAIR.sub("�", name): _whole(part, lines, document, (*path, name)) for name, part in value.items()
        }
    return value
