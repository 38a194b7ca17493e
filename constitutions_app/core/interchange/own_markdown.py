"""Our own format as Markdown: a document that people read, edit and mail, and that gives back every field exactly.

    <!-- A constitution in Markdown, schema 1: lines that begin with ">" are its words, character for character. -->

    # Name of the constitution

    > Preamble.

    ## Principles

    ### Title of a principle

    - id: open-reasons
    - tags: openness, refusals
    - weight: 1.5

    > The rule itself.

    #### Rationale

    > Why it is there.

Words stand in block quotes, so headings, fences or HTML inside them stay words. What fits on a line (ids, tags, titles)
stands bare when it can be read back from there, and as a JSON string otherwise. Fields with their usual value are left
out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from constitutions_app.core import principles as core
from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.imported import Found, Remarks
from constitutions_app.core.interchange.own import read_data

MARK = "<!-- A constitution in Markdown, schema 1"
_OPENING = f'{MARK}: lines that begin with ">" are its words, character for character. -->'
_UNTITLED = "(untitled)"
_BARE = re.compile(r'[^\s"\[(][^\x00-\x1f\x7f-\x9f\u2028\u2029]*(?<!\s)')

# Heading below a principle -> field; those that may stand several times fill a list.
_TEXTS = {
    "Rationale": "rationale",
    "Critique request": "critique_request",
    "Revision request": "revision_request",
    "Comparison question": "comparison_question",
}
_LISTED = {"Positive example": "positive_examples", "Negative example": "negative_examples"}
_EXEMPLAR = {part.name.replace("_", " ").capitalize(): part.name for part in fields(core.Exemplar)}
_SOURCE = {"source": "document", "article": "article", "link": "url"}
_FLAGS = ("strict", "enabled")


def write(constitution: core.Constitution) -> str:
    """The constitution as Markdown with a final line end."""
    body = core.from_json(core.canonical_json(constitution))
    blocks = [_OPENING, f"# {_on_a_line(body.name)}"]
    blocks += [_quote(body.preamble)] if body.preamble else []
    blocks += ["## Principles"] if body.principles else []
    for principle in body.principles:
        blocks += _principle_blocks(principle)
    blocks += ["## Exemplars"] if body.exemplars else []
    for position, exemplar in enumerate(body.exemplars, start=1):
        blocks.append(f"### Exemplar {position}")
        for heading, name in _EXEMPLAR.items():
            blocks += [f"#### {heading}", _quote(getattr(exemplar, name))]
    return "\n\n".join(blocks) + "\n"


def _principle_blocks(principle: core.Principle) -> Iterator[str]:
    yield f"### {_on_a_line(principle.title) if principle.title else _UNTITLED}"
    yield "\n".join(f"- {name}: {value}" for name, value in _entries(principle))
    if principle.text:
        yield _quote(principle.text)
    for heading, name in _TEXTS.items():
        if text := getattr(principle, name):
            yield f"#### {heading}"
            yield _quote(text)
    for heading, name in _LISTED.items():
        for text in getattr(principle, name):
            yield f"#### {heading}"
            yield _quote(text)


def _entries(principle: core.Principle) -> Iterator[tuple[str, str]]:
    """The fields that fit on a line, without those that have their usual value."""
    usual = core.Principle(id="", title="", text="")
    yield "id", _on_a_line(principle.id)
    for name, part in _SOURCE.items():
        if value := getattr(principle.source, part):
            yield name, _on_a_line(value)
    if principle.tags:
        yield "tags", _list_on_a_line(principle.tags)
    if principle.weight != usual.weight:
        yield "weight", repr(principle.weight)
    for name in _FLAGS:
        if getattr(principle, name) != getattr(usual, name):
            yield name, "yes" if getattr(principle, name) else "no"
    if principle.stages != usual.stages:
        yield "stages", _list_on_a_line(principle.stages) or "none"


def _on_a_line(text: str) -> str:
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _list_on_a_line(texts: tuple[str, ...]) -> str:
    if all(_BARE.fullmatch(text) and "," not in text for text in texts):
        return ", ".join(texts)
    return json.dumps(list(texts), ensure_ascii=False)


def _quote(text: str) -> str:
    return "\n".join(f"> {line}" if line else ">" for line in text.split("\n"))


@dataclass
class _Draft:
    """One principle, exemplar or the constitution itself while its lines are being read."""

    line: int
    data: dict[str, Any] = field(default_factory=dict)
    put: Callable[[str], None] | None = None
    """Where the next block quote belongs; None where no words are expected."""

    def expect(self, name: str) -> None:
        """The next block quote is the text of the field `name`."""
        self.put = lambda text: self.data.__setitem__(name, text)

    def expect_one_more(self, name: str) -> None:
        """The next block quote is one more text of the list `name`."""
        self.put = lambda text: self.data.setdefault(name, []).append(text)


def read(document: Document) -> Found:
    """What the document says; the rest stands in its remarks."""
    reading = _Reading(document.remarks)
    for number, line in enumerate(document.lines, start=1):
        reading.take(number, line)
    return reading.finish()


class _Reading:
    """Goes through the lines once; what a line means follows from the headings above it."""

    def __init__(self, remarks: Remarks) -> None:
        self.remarks = remarks
        self.whole = _Draft(1)
        self.parts: dict[str, list[_Draft]] = {"principles": [], "exemplars": []}
        self.part = ""
        self.here: _Draft | None = None
        self.quote: list[str] = []
        self.quoted_from = 0

    def take(self, number: int, line: str) -> None:
        """Read one line."""
        if line.startswith(">"):
            self.quoted_from = self.quoted_from or number
            self.quote.append(line[2:] if line.startswith("> ") else line[1:])
            return
        self._end_quote()
        if heading := re.fullmatch(r"(#{1,4}) +(.*)", line):
            self._heading(number, len(heading[1]), heading[2].rstrip(" "))
        elif entry := re.fullmatch(r"- ([a-z]+): *(.*)", line):
            self._entry(number, entry[1], entry[2], line)
        elif line.strip() and not (line.startswith("<!--") and line.rstrip().endswith("-->")):
            self.remarks.add(number, line, 'Words of the constitution stand in lines that begin with ">".')

    def _end_quote(self) -> None:
        if not self.quote:
            return
        text, line = "\n".join(self.quote), self.quoted_from
        self.quote, self.quoted_from = [], 0
        if self.here is None or self.here.put is None:
            self.remarks.add(line, text, "It is not clear which field these words belong to.")
        else:
            self.here.put(text)
            self.here.put = None

    def _heading(self, number: int, level: int, title: str) -> None:
        if level == 1:
            self._name(number, title)
        elif level == 2:
            self.part, self.here = title.lower(), None
            if self.part not in self.parts:
                self.remarks.add(number, title, "The parts of a constitution are Principles and Exemplars.")
        elif level == 3:
            self._item(number, title)
        else:
            self._field(number, title)

    def _name(self, number: int, title: str) -> None:
        if "name" in self.whole.data:
            self.remarks.add(number, title, "A constitution has one name, in its first heading.")
            self.here = None
            return
        self.part, self.here = "", self.whole
        self.whole.data["name"] = self._from_a_line(number, title)
        self.whole.expect("preamble")

    def _item(self, number: int, title: str) -> None:
        self.here = None
        if self.part not in self.parts:
            self.remarks.add(number, title, "This heading stands in no part of a constitution.")
            return
        self.here = _Draft(number)
        self.parts[self.part].append(self.here)
        if self.part == "principles":
            self.here.data["title"] = "" if title == _UNTITLED else self._from_a_line(number, title)
            self.here.expect("text")

    def _field(self, number: int, title: str) -> None:
        known = _EXEMPLAR if self.part == "exemplars" else _TEXTS
        if self.here is None or self.here is self.whole:
            self.remarks.add(number, title, "This heading belongs to no principle and no exemplar.")
        elif title in known:
            self.here.expect(known[title])
        elif self.part == "principles" and title in _LISTED:
            self.here.expect_one_more(_LISTED[title])
        else:
            self.here.put = None
            self.remarks.add(number, title, f"There is no field {title!r} here.")

    def _entry(self, number: int, name: str, value: str, line: str) -> None:
        if self.here is None or self.part != "principles":
            self.remarks.add(number, line, "Only a principle has entries like this one.")
            return
        data = self.here.data
        if name == "id":
            data["id"] = self._from_a_line(number, value)
        elif name in _SOURCE:
            data.setdefault("source", {})[_SOURCE[name]] = self._from_a_line(number, value)
        elif name in ("tags", "stages"):
            data[name] = self._list(number, value) if value != "none" or name == "tags" else []
        elif name == "weight":
            data["weight"] = self._weight(value)
        elif name in _FLAGS:
            data[name] = {"yes": True, "true": True, "no": False, "false": False}.get(value.strip().lower(), value)
        else:
            self.remarks.add(number, line, f"A principle has no entry {name!r}.")

    def _from_a_line(self, number: int, value: str) -> str:
        if not value.startswith('"'):
            return value
        parsed = self._json(number, value)
        return parsed if isinstance(parsed, str) else value

    def _list(self, number: int, value: str) -> list[Any]:
        if value.startswith("["):
            parsed = self._json(number, value)
            return parsed if isinstance(parsed, list) else []
        return [part.strip() for part in value.split(",")]

    def _json(self, number: int, value: str) -> Any:
        try:
            parsed = json.loads(value)
            json.dumps(parsed, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError):
            self.remarks.add(number, value, "This begins like a JSON text or list and is none.")
            return None
        return parsed

    @staticmethod
    def _weight(value: str) -> float | str:
        try:
            return float(value)
        except ValueError:
            return value

    def finish(self) -> Found:
        """Everything read so far, checked field by field like any other file of our own format."""
        self._end_quote()
        drafts = self.parts
        data = {**self.whole.data, **{name: [draft.data for draft in items] for name, items in drafts.items()}}

        def line_of(*path: str | int) -> int:
            if len(path) > 1 and isinstance(path[1], int):
                return drafts[str(path[0])][path[1]].line
            return 1

        return read_data(data, line_of, self.remarks)
