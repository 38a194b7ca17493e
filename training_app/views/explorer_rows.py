"""What the explorer's lists show of each item: plain values, loaded for one page at once.

Values and not model objects, and one template for all kinds: a page of items costs a few milliseconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchHeadline
from django.db.models import F, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat, Left
from django.urls import reverse

from constitutions_app.composed import Composed, Later
from constitutions_app.templatetags.diffs import spelled
from training_app.access import Person, hidden_among
from training_app.explorer.filters import Filters
from training_app.explorer.items import MODELS, question
from training_app.explorer.tokens import FINALS, STATES, Fact, value_of
from training_app.models import Audit
from training_app.models.facts import CONFIG
from training_app.templatetags.matter import GLIMPSE
from training_app.templatetags.plainly import FLAGS

ANNOTATORS = 20
LONGEST_NAME = 60
EXCERPTED = 6000
"""Characters of a text that an excerpt is taken from."""


@dataclass(frozen=True)
class Row:
    """One item of a list. `parts`: an excerpt's pieces of text, each with whether it was searched for."""

    key: Any
    name: str
    url: str
    about: str
    """The run and what it cites."""
    text: str
    parts: tuple[tuple[str, bool], ...]
    hidden: bool
    """Whether this person has yet to judge it blind, so that nobody's choice is told."""
    chosen: str = ""
    """What was chosen, in words."""
    flags: tuple[str, ...] = ()
    marks: tuple[tuple[str, str], ...] = ()
    """What people made of it, or what an audit says: states (as the style sheet knows them) and words."""
    at: datetime | None = None
    responses: tuple[str, str] | None = None
    said: tuple[tuple[str, str], ...] = ()
    """Of an imported pair: who annotated it, and what they preferred."""


def rows_of(asked: Filters, keys: Sequence[Any], user: Person) -> list[Row]:
    """The items, in the order of their keys, without those that the question would give away. Five queries at most."""
    read = _READ[asked.kind]
    asked_for = {"keys": list(keys)} | ({"text": asked.text} if asked.text else {})
    values = _values(asked.kind, bool(asked.text)).all(**asked_for)
    by_key = {one["pk"]: one for one in values}
    ordered = [by_key[key] for key in keys if key in by_key]
    items = [read.item(one) for one in ordered]
    hidden = hidden_among(user, items)
    tells = asked.reveals_judgement
    return [
        read.row(one, _parts(one["excerpt"]), hidden.has(*item))
        for one, item in zip(ordered, items, strict=True)
        if not (tells and hidden.has(*item))
    ]


Values = dict[str, Any]


BEGIN, END = secrets.token_hex(8), secrets.token_hex(8)
"""What was searched for stands between them in an excerpt; no text holds them, for each process draws its own."""


@cache
def _values(kind: str, is_search: bool) -> Composed[Values]:
    """What rows of a kind are made of, in a search with excerpts of their texts."""
    read = _READ[kind]
    excerpt: Any = Value("")
    if is_search:
        excerpt = SearchHeadline(
            _joined(read.texts), question(Later("text")), config=CONFIG, start_sel=BEGIN, stop_sel=END,
            max_words=40, min_words=15, max_fragments=2, fragment_delimiter=" … ",
        )  # fmt: skip
    found: QuerySet[Any] = MODELS[kind]._default_manager.filter(pk__among=Later("keys"))
    shown = found.annotate(glimpse=Left(read.texts[read.shown], 2 * GLIMPSE), excerpt=excerpt)
    return Composed(lambda: shown.values("pk", "glimpse", "excerpt", *read.columns))


Parts = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class _Read:
    """How rows of one kind are read: their texts, which of them is shown, further columns, and what is made of them."""

    texts: tuple[str, ...]
    shown: int
    columns: tuple[str, ...]
    item: Callable[[Values], tuple[str, Any]]
    """What is judged, as `hidden_among` takes it."""
    row: Callable[[Values, Parts, bool], Row]


def _label(one: Values, parts: Parts, hidden: bool) -> Row:
    choice = "A preferred" if one["p_a"] > 0.5 else "B preferred" if one["p_a"] < 0.5 else "no preference"
    return Row(
        one["pk"], f"Label {one['pk']}", _url("label", one["pk"]),
        f"Run {one['run__number']} · {_cited(one, 'principle')} · {spelled(one['judge__name'])}",
        _glimpse(one), parts, hidden,
        chosen="" if hidden else f"{choice}, p(A) {one['p_a']:.2f}",
        flags=("same position twice",) if one["same_position"] and not hidden else (),
        marks=_judged(one, hidden),
    )  # fmt: skip


def _step(one: Values, parts: Parts, hidden: bool) -> Row:
    run = one["trace__run__number"]
    origin = f"Run {run}" if run else f"Imported: {spelled(one['trace__imported__file_name'] or '')}"
    return Row(
        one["pk"], f"Trace {one['trace']}, round {one['round']}", f"{_url('trace', one['trace'])}#s{one['round']}",
        f"{origin} · {_cited(one, 'principle')}", _glimpse(one), parts, hidden,
        flags=tuple(FLAGS[flag][0] if flag in FLAGS else flag for flag in one["flags"]),
        marks=_judged(one, hidden),
    )  # fmt: skip


def _judged(one: Values, hidden: bool) -> tuple[tuple[str, str], ...]:
    """What people made of an item, for its row: nothing where it is hidden."""
    if hidden:
        return ()
    said = (("agree", one["facts__agrees"]), ("override", one["facts__overrides"]))
    marks = tuple((state, f"{times} {state}") for state, times in said if times)
    facets = one["facts__facets"] or ()
    if value_of(Fact.FINAL, facets) == FINALS.index("adjudicated"):
        came_to = STATES[value_of(Fact.STATE, facets) or 0]
        choice = f" ({one['facts__choice']})" if one["facts__choice"] else ""
        return (*marks, ("override" if came_to == "overridden" else "agree", f"adjudicated: {came_to}{choice}"))
    return marks or (("undecided", "not audited"),)


def _comparison(one: Values, parts: Parts, hidden: bool) -> Row:
    run, chat = one["run__number"], one["chat"]
    chosen = one["human_choice"].upper()
    origin = f"Run {run}" if run else "Two checkpoints, asked" if chat else spelled(one["prompt_set__name"] or "")
    return Row(
        one["pk"], f"Comparison {one['pk']}", _url("chat_turn", chat) if chat else "", origin,
        _glimpse(one), parts, hidden, chosen=f"people preferred {chosen}" if chosen and not hidden else "",
        flags=("both alike",) if one["identical"] else (), responses=(one["response_a"], one["response_b"]),
        said=() if hidden else _annotated(one),
    )  # fmt: skip


def _annotated(one: Values) -> tuple[tuple[str, str], ...]:
    """What each annotator of an imported pair preferred, in the file's order, at most ANNOTATORS of them."""
    names = {str(who["id"]): str(who["name"] or who["id"]) for who in one["annotated__imported__annotators"] or ()}
    given = one["annotated__annotations"] or {}
    listed = sorted(given.items(), key=lambda pair: list(names).index(pair[0]) if pair[0] in names else len(names))
    words = {"a": "A", "b": "B"}
    return tuple(
        (spelled(names.get(who, who))[:LONGEST_NAME], words.get(str(said.get("pref")).lower(), "neither"))
        for who, said in listed[:ANNOTATORS]
        if isinstance(said, dict)
    )


def _audit(one: Values, parts: Parts, hidden: bool) -> Row:
    on_label = one["label"] is not None
    url = _url("label", one["label"]) if on_label else f"{_url('trace', one['step__trace'])}#s{one['step__round']}"
    name = f"Label {one['label']}" if on_label else f"Trace {one['step__trace']}, round {one['step__round']}"
    who = f"{one['auditor__first_name']} {one['auditor__last_name']}".strip() or one["auditor__username"]
    reason = f" · {Audit.Reason(one['reason']).label}" if one["reason"] in Audit.Reason.values else ""
    cited = _cited(one, "label__principle" if on_label else "step__principle")
    return Row(
        one["pk"], name, url, f"{spelled(who)} · {cited}{reason}", _glimpse(one), parts, hidden,
        chosen=Audit.Choice(one["choice"]).label if one["choice"] else "",
        marks=((one["verdict"], one["verdict"]),), at=one["created_at"],
    )  # fmt: skip


_COMPARED = ("prompt_text", "response_a", "response_b")
_JUDGED = ("facts__agrees", "facts__overrides", "facts__facets", "facts__choice")
_CITED = ("title", "key", "version__number")


def _of(path: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{path}__{name}" for name in names)


_READ = {
    "label": _Read(
        _of("comparison", _COMPARED), 0,
        ("p_a", "same_position", "run__number", "judge__name", *_JUDGED,
         *_of("principle", _CITED)),
        lambda one: ("label", one["pk"]), _label,
    ),
    "comparison": _Read(
        _COMPARED, 0,
        ("run__number", "chat", "prompt_set__name", "human_choice", "identical", "response_a", "response_b",
         "annotated__annotations", "annotated__imported__annotators"),
        lambda one: ("comparison", one["pk"]), _comparison,
    ),
    "step": _Read(
        ("trace__prompt__text", "critique", "revision"), 1,
        ("trace", "round", "flags", "trace__run__number", "trace__imported__file_name", *_JUDGED,
         *_of("principle", _CITED)),
        lambda one: ("step", one["pk"]), _step,
    ),
    "audit": _Read(
        ("comment",), 0,
        ("label", "step", "step__trace", "step__round", "verdict", "choice", "reason", "created_at",
         *_of("auditor", ("username", "first_name", "last_name")), *_of("label__principle", _CITED),
         *_of("step__principle", _CITED)),
        lambda one: ("step", one["step"]) if one["label"] is None else ("label", one["label"]), _audit,
    ),
}  # fmt: skip


def _cited(one: Values, path: str) -> str:
    number = one[f"{path}__version__number"]
    if number is None:
        return "all principles at once"
    return f"{spelled(one[f'{path}__title'] or one[f'{path}__key'])} · v{number}"


def _glimpse(one: Values) -> str:
    text = one["glimpse"] or ""
    start = " ".join(text.split())
    return f"{start[:GLIMPSE]}…" if len(start) > GLIMPSE or len(text) == 2 * GLIMPSE else start


def _url(name: str, pk: int | UUID) -> str:
    nobody: int | UUID = UUID(int=0) if isinstance(pk, UUID) else 0
    return f"{_BASES.setdefault(name, reverse(f'training:{name}', args=[nobody])).removesuffix(f'{nobody}/')}{pk}/"


_BASES: dict[str, str] = {}


def _joined(columns: Sequence[str]) -> Combinable:
    """The texts one after the other, each as far as an excerpt is taken of it."""
    parts: list[Combinable] = []
    for column in columns:
        parts += [Value("\n"), Left(F(column), EXCERPTED)]
    return Concat(*parts[1:], output_field=TextField()) if len(parts) > 2 else parts[1]


def _parts(excerpt: str) -> Parts:
    parts: list[tuple[str, bool]] = []
    for piece in excerpt.split(BEGIN):
        found, closed, rest = piece.partition(END)
        parts += [(found, True), (rest, False)] if closed else [(piece, False)]
    return tuple(part for part in parts if part[0])
