"""OpenCharacterTraining: a JSON list (or one object, or one object a line) of `{"trait", "questions", ..}`.

A trait becomes a principle, and each of its probe questions a scenario without responses, to be filled in later.
`clarification`, which some files have, becomes the rationale.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.imported import Found
from constitutions_app.core.interchange.located_json import parse
from constitutions_app.core.interchange.naming import MAX_DOCUMENT, MAX_ID, Ids, short, title_from
from constitutions_app.core.principles import Principle, Source, normalise
from constitutions_app.core.scenarios import Scenario

_QUESTIONS = ("questions", "additional_questions")
_KNOWN = {"trait", "clarification", *_QUESTIONS}

LineOf = Callable[..., int]
"""Gives the line of a part of one trait by its path, such as ("questions", 2)."""


def looks_like(value: Any) -> bool:
    """Whether parsed JSON has this format's shape."""
    if isinstance(value, Mapping):
        return "trait" in value
    return isinstance(value, list) and any(isinstance(item, Mapping) and "trait" in item for item in value)


def looks_like_lines(document: Document) -> bool:
    """Whether the document holds one JSON object with a trait on each line."""
    first = next((line for line in document.lines if line.strip()), "")
    if not first.lstrip().startswith("{"):
        return False
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, Mapping) and "trait" in value


def read(document: Document) -> Found:
    """What the document says; the rest stands in its remarks."""
    ids, scenario_ids = Ids(), Ids()
    principles: list[Principle] = []
    scenarios: list[Scenario] = []
    for index, (item, line_of) in enumerate(_items(document)):
        principle = _principle(document, item, line_of, index, ids)
        if principle is None:
            continue
        principles.append(principle)
        for line, question in _questions(document, item, line_of):
            text = normalise(question) if isinstance(question, str) else ""
            if not text:
                document.remarks.add(line, question, "A question should be a text.")
                continue
            name = scenario_ids.keep(f"{principle.id[: MAX_ID - 12]}-probe", "probe")
            scenarios.append(Scenario(id=name, title=title_from(text), principles=(principle.id,), prompt=text))
    return Found(principles=tuple(principles), scenarios=tuple(scenarios))


def _items(document: Document) -> Iterator[tuple[Any, LineOf]]:
    """Each trait's object and where its parts stand."""
    if looks_like_lines(document):
        for number, line in enumerate(document.lines, start=1):
            if line.strip():
                yield from _item_of_a_line(document, number, line)
        return
    located = parse(document)
    if located is None:
        return
    if looks_like(located.value) and isinstance(located.value, Mapping):
        yield located.value, located.line
    elif not isinstance(located.value, list):
        document.remarks.add(1, located.value, "This is not a list of traits.")
    else:
        for index, item in enumerate(located.value):
            yield item, partial(located.line, index)


def _item_of_a_line(document: Document, number: int, line: str) -> Iterator[tuple[Any, LineOf]]:
    alone = Document(document.name, line)
    located = parse(alone)
    for remark in alone.remarks.items:
        document.remarks.add(number, remark.text, remark.reason)
    if located is not None:
        yield located.value, lambda *_path: number


def _principle(document: Document, item: Any, line_of: LineOf, index: int, ids: Ids) -> Principle | None:
    trait = item.get("trait") if isinstance(item, Mapping) else None
    if not isinstance(trait, str) or not (text := normalise(trait)):
        document.remarks.add(line_of(), item, 'Each item needs a text named "trait".')
        return None
    for name in item.keys() - _KNOWN:
        document.remarks.add(line_of(name), name, f"A trait has no field {name!r}.")
    clarification = item.get("clarification")
    if clarification is not None and not isinstance(clarification, str):
        document.remarks.add(line_of("clarification"), clarification, "A clarification should be a text.")
        clarification = None
    return Principle(
        id=ids.from_text(text, f"trait-{index + 1}"),
        title=title_from(text),
        text=text,
        rationale=normalise(clarification or ""),
        source=Source(document=short(document.name, MAX_DOCUMENT), article=f"trait {index + 1}"),
    )


def _questions(document: Document, item: Mapping[str, Any], line_of: LineOf) -> Iterator[tuple[int, Any]]:
    for name in _QUESTIONS:
        questions = item.get(name)
        if questions is None:
            continue
        if not isinstance(questions, list):
            document.remarks.add(line_of(name), questions, f"{name} should be a list of texts.")
            continue
        for index, question in enumerate(questions):
            yield line_of(name, index), question
