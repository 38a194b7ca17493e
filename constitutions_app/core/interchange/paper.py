"""The two files of the Constitutional AI paper, which nothing links to each other.

`CritiqueRevisionInstructions.json` maps a key to a critique request and a revision request, each inside the transcript
marks of the paper; `RLMadisonInstructions.json` is a list of comparison questions that end in "Options:". With a second
file of the other kind, pair and question at the same position become one principle, unless a person has chosen
otherwise. Position is a guess, so each link that nobody confirmed is reported as such, and its principle carries the
tag `link-unconfirmed` until a person takes it off.

The files have no plain text for a rule: the revision request, or else the question, stands in for it.

A third file of the paper, `CritiqueRevisionFewShotPrompts.json`, is a list of whole transcripts. One that goes from a
question over an answer, a critique and a revision is exactly an exemplar; those of several turns are reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.imported import Choice, Found, Link, Provenance
from constitutions_app.core.interchange.located_json import parse
from constitutions_app.core.interchange.naming import MAX_ARTICLE, MAX_DOCUMENT, MAX_TITLE, Ids, short, title_from
from constitutions_app.core.principles import STAGES, Exemplar, Principle, Source, normalise

UNCONFIRMED = "link-unconfirmed"

_PAIR = ("prompt", "edit_request")
_OPENING = re.compile(r"^\s*(?:CritiqueRequest|RevisionRequest):\s*", re.IGNORECASE)
_CLOSING = re.compile(r"(?:Critique|Revision|Options):\Z", re.IGNORECASE)
_TRANSCRIPT = re.compile(r"^\s*Human:")
_TURN = re.compile(r"(?:\A|\n)[ \t]*(Human|Assistant|CritiqueRequest|Critique|RevisionRequest|Revision):")
_TURNS = ("Human", "Assistant", "CritiqueRequest", "Critique", "RevisionRequest", "Revision")


@dataclass(frozen=True)
class _Item:
    """A principle of one file with the line it begins in."""

    principle: Principle
    line: int


@dataclass(frozen=True)
class _List:
    """What one of the two files holds."""

    document: Document
    items: list[_Item]


def looks_like(value: Any) -> bool:
    """Whether parsed JSON has the shape of one of the two files."""
    return _is_pairs(value) or _is_questions(value)


def read(document: Document, link: Document | None = None, choices: Mapping[str, Choice] | None = None) -> Found:
    """What the document says, joined with the file it is linked to; the rest stands in the documents' remarks.

    `choices` says by a pair's id which question, from 0, a person links to it; without it position decides.
    """
    exemplars: list[Exemplar] = []
    found = _read(document, _items(document, exemplars), link, choices)
    return replace(found, exemplars=tuple(exemplars))


def _read(document: Document, first: list[_Item], link: Document | None, choices: Mapping[str, Choice] | None) -> Found:
    if link is None:
        return _found(first)
    second = _items(link)
    kinds = [{item.principle.stages for item in items} for items in (first, second)]
    if not first or not second or kinds[0] == kinds[1]:
        reason = "Only a file of critique and revision requests and a file of comparison questions can be linked."
        document.remarks.add(0, link.name, reason)
        _pass_on(link, document)
        return _found(first)
    pairs_first = first[0].principle.stages == ("revise",)
    pairs, questions = (_List(document, first), _List(link, second))
    if not pairs_first:
        pairs, questions = questions, pairs
    if choices is None:
        choices = {item.principle.id: Choice(position) for position, item in enumerate(pairs.items)}
    return _linked(document, link, pairs, questions, choices)


def lists(document: Document, link: Document) -> tuple[list[Principle], list[Principle]] | None:
    """The pairs and the questions of two files, for a person to link; None when they are not one of each."""
    found = [item for item in map(_items, (document, link)) if item]
    if len(found) != 2 or {found[0][0].principle.stages, found[1][0].principle.stages} != {("revise",), ("label",)}:
        return None
    first, second = ([item.principle for item in items] for items in found)
    return (first, second) if first[0].stages == ("revise",) else (second, first)


def _is_pairs(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(item, Mapping) and any(name in item for name in _PAIR) for item in value.values()
    )


def _is_questions(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, str) for item in value)


def _items(document: Document, exemplars: list[Exemplar] | None = None) -> list[_Item]:
    """The principles of one file. What is a transcript goes into `exemplars`, where they are asked for."""
    located = parse(document)
    if located is None:
        return []
    ids = Ids()
    if isinstance(located.value, Mapping):
        entries = [(key, item, located.line(key)) for key, item in located.value.items()]
        found = [_pair(document, key, item, line, ids) for key, item, line in entries]
    elif isinstance(located.value, list):
        found = []
        kept = [] if exemplars is None else exemplars
        for index, item in enumerate(located.value):
            if isinstance(item, str) and _TRANSCRIPT.match(item):
                _keep_transcript(document, item, located.line(index), kept)
            else:
                found.append(_question(document, item, located.line(index), index, ids))
    else:
        document.remarks.add(1, located.value, "This is neither a mapping of pairs nor a list of questions.")
        found = []
    return [item for item in found if item is not None]


def _pair(document: Document, key: str, item: Any, line: int, ids: Ids) -> _Item | None:
    critique = _one_text(document, item.get("prompt"), line) if isinstance(item, Mapping) else ""
    revision = _one_text(document, item.get("edit_request"), line) if isinstance(item, Mapping) else ""
    critique, revision = (unmarked(text) for text in (critique, revision))
    if not critique or not revision:
        document.remarks.add(line, key, 'A pair needs "prompt" (the critique request) and "edit_request".')
        return None
    for name in item.keys() - set(_PAIR):
        document.remarks.add(line, name, f"A pair has no field {name!r}.")
    principle = Principle(
        id=ids.keep(key, "pair"),
        title=short(key, MAX_TITLE),
        text=revision,
        source=Source(document=short(document.name, MAX_DOCUMENT), article=short(key, MAX_ARTICLE)),
        stages=("revise",),
        critique_request=critique,
        revision_request=revision,
    )
    return _Item(principle, line)


def unmarked(text: str) -> str:
    """The words between the paper's transcript marks."""
    return normalise(_CLOSING.sub("", _OPENING.sub("", normalise(text))))


def _one_text(document: Document, value: Any, line: int) -> str:
    """The text of a field that may be a text or a list of texts, of which the first counts."""
    if isinstance(value, list):
        for further in value[1:]:
            document.remarks.add(
                line, further, "A principle has one wording of each kind; this further one was left out."
            )
        value = value[0] if value else None
    return normalise(value) if isinstance(value, str) else ""


def _question(document: Document, item: Any, line: int, index: int, ids: Ids) -> _Item | None:
    if not isinstance(item, str):
        document.remarks.add(line, item, "A comparison question should be a text.")
        return None
    question = unmarked(item)
    if not question:
        document.remarks.add(line, item, "This comparison question is empty.")
        return None
    principle = Principle(
        id=ids.keep(f"question{index}", "question"),
        title=title_from(question),
        text=question,
        source=Source(document=short(document.name, MAX_DOCUMENT), article=f"[{index}]"),
        stages=("label",),
        comparison_question=question,
    )
    return _Item(principle, line)


def _keep_transcript(document: Document, text: str, line: int, kept: list[Exemplar]) -> None:
    """Keep a transcript as an exemplar; the next question, with which those of the paper end, is left out."""
    _, *parts = _TURN.split(text)
    names, texts = parts[::2], [normalise(part) for part in parts[1::2]]
    if names[-1:] == ["Human"] and not texts[-1]:
        del names[-1], texts[-1]
    if tuple(names) == _TURNS and all(texts):
        kept.append(Exemplar(*texts))
    else:
        reason = f"An exemplar is one question with an answer, a critique and a revision; this has {len(names)} turns."
        document.remarks.add(line, normalise(text), reason)


def _linked(document: Document, link: Document, pairs: _List, questions: _List, choices: Mapping[str, Choice]) -> Found:
    """Principles of both files; what has no partner stays a principle of its own."""
    principles: list[Principle] = []
    links: list[Link] = []
    provenance: dict[str, Provenance] = {}
    free = dict(enumerate(questions.items))
    alone: list[tuple[_Item, Document]] = []
    for position, pair in enumerate(pairs.items):
        choice = choices.get(pair.principle.id, Choice(None))
        question = free.pop(choice.question, None) if choice.question is not None else None
        if question is None:
            alone.append((pair, pairs.document))
            continue
        principle = _joined(pair.principle, question.principle, choice)
        principles.append(principle)
        one, other = (pair, question) if pairs.document is document else (question, pair)
        if not choice.confirmed:
            links.append(Link(principle.id, position, one.line, other.line))
        word = "confirmed" if choice.confirmed else "unconfirmed"
        provenance[principle.id] = {"linked_file": link.name, "position": choice.question or 0, "link": word}
    ids = Ids()
    for principle in principles:
        ids.keep(principle.id, "pair")
    for item, where in [*alone, *((question, questions.document) for question in free.values())]:
        principles.append(replace(item.principle, id=ids.keep(item.principle.id, "item")))
        reason = f"{where.name}, line {item.line}: nothing of the other file belongs to this, so no link was made."
        document.remarks.add(item.line if where is document else 0, item.principle.title, reason)
    _pass_on(link, document)
    return Found(principles=tuple(principles), provenance=provenance, links=tuple(links))


def _pass_on(link: Document, document: Document) -> None:
    """What was not understood of the second file is told with the first, which has other lines: they stand in words."""
    for remark in link.remarks.items:
        document.remarks.add(0, remark.text, f"{link.name}, line {remark.line}: {remark.reason}")


def _joined(pair: Principle, question: Principle, choice: Choice) -> Principle:
    """A pair with its question; the tag stays until somebody has confirmed that they belong together."""
    article = short(f"{pair.source.article}; {question.source.document} {question.source.article}", MAX_ARTICLE)
    return replace(
        pair,
        source=replace(pair.source, article=article),
        stages=STAGES,
        tags=() if choice.confirmed else (UNCONFIRMED,),
        comparison_question=question.comparison_question,
    )


def _found(items: list[_Item]) -> Found:
    return Found(principles=tuple(item.principle for item in items))
