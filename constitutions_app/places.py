"""Read side: the texts of a draft that people can talk about, and where a thread's words stand in them now.

A place is (key, field): a principle's key and one of its texts; no key for the preamble and the exemplars; no field for
a principle, or the draft, as a whole. A thread keeps the text it was opened on. Where its words stand is computed from
that text and the one of today, never from the states between: words that were deleted and typed again are found again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from constitutions_app.core import principles as core
from constitutions_app.core.anchors import Anchor, follow
from constitutions_app.models import Thread

PRINCIPLE_TEXTS = ("title", "text", "rationale", "critique_request", "revision_request", "comparison_question")
EXEMPLAR_TEXTS = tuple(part.name for part in fields(core.Exemplar))
PREAMBLE = "preamble"
EXEMPLAR = "exemplar-"
"""How the name of every text of an exemplar begins; the first one's prompt is "exemplar-1-prompt"."""

Place = tuple[str, str]


@dataclass(frozen=True)
class Standing:
    """Where a thread's words stand in `text`, the text of its place as it is now. Offsets count code points.

    `lost`: the words are gone, `start` is where they used to be. `missing`: so is the text itself.
    """

    thread: Thread
    text: str
    start: int
    end: int
    quote: str
    lost: bool = False
    missing: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the thread is about no words in particular."""
        return not self.thread.field

    @property
    def changed(self) -> bool:
        """Whether the words read otherwise than when the thread was last carried along."""
        return self.quote != self.thread.quote


def texts_of(body: core.Constitution) -> dict[Place, str]:
    """Every text of a constitution that holds words, by its place."""
    found: dict[Place, str] = {("", PREAMBLE): body.preamble}
    for number, exemplar in enumerate(body.exemplars, start=1):
        found |= {("", exemplar_field(number, part)): getattr(exemplar, part) for part in EXEMPLAR_TEXTS}
    for principle in body.principles:
        found |= {(principle.id, part): getattr(principle, part) for part in PRINCIPLE_TEXTS}
    return {place: text for place, text in found.items() if text}


def exemplar_field(number: int, part: str) -> str:
    """The field of one part of the exemplar at `number`, from 1: "exemplar-2-response"."""
    return f"exemplar-{number}-{part}"


def exemplar_of(field: str) -> tuple[int, str] | None:
    """The number and the part that a field names, or None when it is not an exemplar's."""
    words = field.split("-")
    if len(words) != 3 or words[0] != "exemplar" or not words[1].isdecimal() or words[2] not in EXEMPLAR_TEXTS:
        return None
    return int(words[1]), words[2]


def stand(thread: Thread, texts: Mapping[Place, str], keys: Iterable[str] = ()) -> Standing:
    """Where the thread stands among `texts`. `keys`: the principles there are, for threads about a whole one."""
    if not thread.field:
        gone = bool(thread.key) and thread.key not in set(keys)
        return Standing(thread, "", 0, 0, "", missing=gone)
    text = _text_of(thread, texts)
    if text is None:
        return Standing(thread, "", 0, 0, thread.quote, lost=True, missing=True)
    found = follow(Anchor(thread.start, thread.end, thread.quote), thread.text, text)
    if isinstance(found, Anchor):
        return Standing(thread, text, found.start, found.end, found.quote)
    return Standing(thread, text, found.near, found.near, thread.quote, lost=True)


def place_words(key: str, field: str) -> str:
    """A place in words, without the principle's name: "rationale", "exemplar 2, response", "the whole principle"."""
    if not field:
        return "the whole principle" if key else "the draft as a whole"
    if field == "text":
        return "principle"
    found = exemplar_of(field)
    return f"exemplar {found[0]}, {found[1]}".replace("_", " ") if found else field.replace("_", " ")


def field_now(standing: Standing, texts: Mapping[Place, str]) -> str:
    """The field that holds the thread's text now: an exemplar may have another number than when it was opened."""
    field = standing.thread.field
    if texts.get((standing.thread.key, field)) == standing.text:
        return field
    return next((name for name, text in _siblings(field, texts).items() if text == standing.text), field)


def _text_of(thread: Thread, texts: Mapping[Place, str]) -> str | None:
    """The text at the thread's place. Exemplars have no names: one that still says the same comes first."""
    text = texts.get((thread.key, thread.field))
    if text != thread.text and thread.text in _siblings(thread.field, texts).values():
        return thread.text
    return text


def _siblings(field: str, texts: Mapping[Place, str]) -> dict[str, str]:
    """The same part of every exemplar, by field; nothing for a field that is not an exemplar's."""
    found = exemplar_of(field)
    if not found:
        return {}
    return {
        name: text for (key, name), text in texts.items() if not key and (exemplar_of(name) or ("", ""))[1] == found[1]
    }
