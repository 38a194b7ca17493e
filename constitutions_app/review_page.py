"""Read side: a draft's differences from its base with the threads where their words stand, ready to be shown.

Everything is computed from values already fetched; only `threads_of` asks the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from constitutions_app.comparing import PrincipleRow, compare
from constitutions_app.core import diff
from constitutions_app.core import principles as core
from constitutions_app.models import Comment, Draft, Suggestion, Thread
from constitutions_app.places import (
    EXEMPLAR_TEXTS,
    PREAMBLE,
    PRINCIPLE_TEXTS,
    Standing,
    exemplar_field,
    field_now,
    place_words,
    stand,
    texts_of,
)


@dataclass(frozen=True)
class Line:
    """One comment, with its suggestion as a diff where it has one."""

    comment: Comment
    suggestion: Suggestion | None
    spans: tuple[diff.Span, ...] = ()


@dataclass(frozen=True)
class Talk:
    """A thread as it is shown: where its words stand now, and what was said."""

    thread: Thread
    standing: Standing
    field: str
    lines: tuple[Line, ...]
    about: str = ""
    """The principle's title now, or its key where it is gone; "" for what belongs to no principle."""

    @property
    def place(self) -> str:
        """The place in words."""
        return place_words(self.thread.key, self.field)


@dataclass(frozen=True)
class Text:
    """One text of the draft against the base. `words_of` names its place for the browser; empty where it is gone."""

    label: str
    words_of: str
    spans: tuple[diff.Span, ...]
    talks: tuple[Talk, ...] = ()

    @property
    def new_spans(self) -> tuple[diff.Span, ...]:
        """What the draft says, without the words that went away."""
        return tuple(span for span in self.spans if span.kind != "removed")

    @property
    def marks(self) -> tuple[tuple[int, int], ...]:
        """The ranges that open threads are about, in code points of the new text."""
        open_ones = (talk.standing for talk in self.talks if not talk.thread.resolved_at)
        return tuple((one.start, one.end) for one in open_ones if not one.lost)


@dataclass(frozen=True)
class Part:
    """One principle, the preamble, an exemplar, or the draft as a whole: what changed in it and what is said of it."""

    id: str
    kind: str
    name: str
    texts: tuple[Text, ...]
    title: tuple[diff.Span, ...] = ()
    row: PrincipleRow | None = None
    talks: tuple[Talk, ...] = ()


def threads_of(draft: Draft) -> QuerySet[Thread]:
    """The draft's threads with everything said in them: three queries when read, however many there are."""
    rows = draft.threads.select_related("opened_by", "resolved_by")
    return rows.prefetch_related("comments__author", "comments__suggestion__decided_by")


def open_threads(draft: Draft) -> dict[str, int]:
    """How many threads of the draft are open, by principle key; "" for the other parts. One query."""
    rows = draft.threads.filter(resolved_at=None).order_by().values_list("key")
    return dict(rows.annotate(count=Count("pk")))


def talks_of(threads: Iterable[Thread], now: core.Constitution) -> list[Talk]:
    """Threads fetched by `threads_of`, placed in the words of today."""
    texts, titles = texts_of(now), {item.id: item.title or item.id for item in now.principles}
    return [_talk(thread, texts, titles) for thread in threads]


def parts_of(base: core.Constitution, now: core.Constitution, talks: Sequence[Talk]) -> list[Part]:
    """What differs and what is talked about, in the order of the draft; nothing else."""
    found = compare(base, now)
    rows = {row.key: row for row in found.principles}
    by_key: dict[str, list[Talk]] = {}
    for talk in talks:
        by_key.setdefault(talk.thread.key, []).append(talk)
    return [
        *_whole(by_key.get("", ())),
        *_preamble(base, now, by_key.get("", ())),
        *(
            _principle(change, rows.get(change.item.id), by_key.get(change.item.id, ()))
            for change in found.diff.principles
            if change.is_change or change.item.id in by_key
        ),
        *_gone(found.diff, by_key),
        *_exemplars(found.diff, by_key.get("", ())),
    ]


def _talk(thread: Thread, texts: Mapping[tuple[str, str], str], titles: Mapping[str, str]) -> Talk:
    standing = stand(thread, texts, titles.keys())
    field = thread.field if standing.missing or not thread.field else field_now(standing, texts)
    lines = tuple(_line(comment) for comment in thread.comments.all())
    return Talk(thread, standing, field, lines, titles.get(thread.key, thread.key))


def _line(comment: Comment) -> Line:
    suggestion = getattr(comment, "suggestion", None)
    if suggestion is None:
        return Line(comment, None)
    return Line(comment, suggestion, diff.diff_words(suggestion.original, suggestion.replacement))


def _whole(talks: Sequence[Talk]) -> Iterator[Part]:
    about = tuple(talk for talk in talks if not talk.thread.field)
    if about:
        yield Part("whole", "same", "The draft as a whole", (), talks=about)


def _preamble(base: core.Constitution, now: core.Constitution, talks: Sequence[Talk]) -> Iterator[Part]:
    about = tuple(talk for talk in talks if talk.field == PREAMBLE)
    if about or base.preamble != now.preamble:
        kind = "edited" if base.preamble != now.preamble else "same"
        spans = diff.diff_words(base.preamble, now.preamble)
        yield Part("preamble", kind, "Preamble", (Text("", f":{PREAMBLE}", spans, about),))


def _principle(change: diff.PrincipleChange, row: PrincipleRow | None, talks: Sequence[Talk]) -> Part:
    old, new = change.old, change.new
    key, changed = change.item.id, {part.name for part in change.fields}
    by_field: dict[str, list[Talk]] = {}
    for talk in talks:
        by_field.setdefault(talk.field, []).append(talk)

    def text(name: str) -> Text:
        spans = diff.diff_words(getattr(old, name, ""), getattr(new, name, ""))
        label = "" if name == "text" else name.replace("_", " ").capitalize()
        return Text(label, f"{key}:{name}" if new else "", spans, tuple(by_field.pop(name, ())))

    shown = [
        name for name in PRINCIPLE_TEXTS if name == "text" or name in by_field or (name in changed and name != "title")
    ]
    texts = tuple(text(name) for name in ["text", *(name for name in shown if name != "text")])
    left = tuple(talk for talks in by_field.values() for talk in talks)
    place = change.new_position if change.new_position is not None else change.old_position or 0
    title = diff.diff_words(getattr(old, "title", ""), getattr(new, "title", ""))
    return Part(f"p-{key}", change.kind, f"{place + 1}", texts, title or (diff.Span("same", key),), row, left)


def _gone(found: diff.ConstitutionDiff, by_key: Mapping[str, Sequence[Talk]]) -> Iterator[Part]:
    """Threads about principles that are neither in the base nor in the draft any more."""
    known = {change.item.id for change in found.principles} | {
        change.old.id for change in found.principles if change.old
    }
    for key, talks in by_key.items():
        if key and key not in known:
            yield Part(f"p-{key}", "removed", key, (), talks=tuple(talks))


def _exemplars(found: diff.ConstitutionDiff, talks: Sequence[Talk]) -> Iterator[Part]:
    about = {
        talk.field: [one for one in talks if one.field == talk.field]
        for talk in talks
        if talk.field.startswith("exemplar-")
    }
    for change in found.exemplars:
        number = (change.new_position if change.new_position is not None else change.old_position or 0) + 1
        names = [exemplar_field(number, part) for part in EXEMPLAR_TEXTS]
        here = change.new is not None
        if not change.is_change and not any(name in about for name in names):
            continue
        texts = tuple(
            Text(
                part.replace("_", " ").capitalize(),
                f":{name}" if here else "",
                diff.diff_words(getattr(change.old, part, ""), getattr(change.new, part, "")),
                tuple(about.pop(name, ())) if here else (),
            )
            for part, name in zip(EXEMPLAR_TEXTS, names, strict=True)
        )
        yield Part(f"exemplar-{number}{'' if here else '-removed'}", change.kind, f"Exemplar {number}", texts)
    if about:
        left = tuple(talk for talks in about.values() for talk in talks)
        yield Part("exemplars-gone", "removed", "Exemplars that are gone", (), talks=left)
