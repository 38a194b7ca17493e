"""What an approval was given for, and whether that is still what stands there.

An approval is of meaning: it outlasts a save that changes nothing, another order, and slips put right. It ends when a
principle comes, goes or changes in meaning or weight, and when words of the preamble or of an exemplar change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from constitutions_app.core.edits import classify
from constitutions_app.core.principles import Constitution, Exemplar, Principle
from constitutions_app.core.words import split_words


def altered(then: Constitution, now: Constitution) -> tuple[str, ...]:
    """The parts that no longer say what they said, named for people; empty while an approval of `then` still counts."""
    before = {item.id: item for item in then.principles}
    after = {item.id: item for item in now.principles}
    return (
        *(_named(item) for item in now.principles if item.id not in before),
        *(_named(item) for item in then.principles if item.id not in after),
        *(_named(item) for item in now.principles if item.id in before and _means_more(before[item.id], item)),
        *_altered_parts(then, now),
    )


def _means_more(old: Principle, new: Principle) -> bool:
    """Whether the edit is semantic by its words, whatever people declare of it, or sets another weight."""
    return classify(old, new).proposed == "semantic" or old.weight != new.weight


def _altered_parts(then: Constitution, now: Constitution) -> Iterator[str]:
    if _words(then.preamble) != _words(now.preamble):
        yield "the preamble"
    if [_exemplar_words(item) for item in then.exemplars] != [_exemplar_words(item) for item in now.exemplars]:
        yield "the exemplars"


def _exemplar_words(exemplar: Exemplar) -> list[list[str]]:
    return [_words(getattr(exemplar, part.name)) for part in fields(exemplar)]


def _words(text: str) -> list[str]:
    return [word.text for word in split_words(text)]


def _named(principle: Principle) -> str:
    return f"“{principle.title or principle.id}”"
