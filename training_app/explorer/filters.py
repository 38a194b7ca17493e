"""What a person asks of the explorer, read from the address: declared names only, so no key of a user reaches the ORM.

A value that is not understood filters nothing and is told (`problems`). What is understood is spelt back by `to_query`
in one way, so that two people who ask the same have the same address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any

from django.http import QueryDict

from training_app.explorer.tokens import FINALS, LARGEST, SOURCES, STATES, VERDICTS
from training_app.models import Audit

KINDS = ("label", "comparison", "step", "audit")
ORDERS = ("same", "agree")
STALENESS = ("stale", "current")
SORTS: Mapping[str, tuple[str, ...]] = {
    "label": ("newest", "oldest", "unsure", "p_low", "p_high", "audited", "best"),
    "comparison": ("newest", "oldest", "best"),
    "step": ("newest", "oldest", "audited", "best"),
    "audit": ("newest", "oldest", "best"),
}
"""The orders each kind can be put in, the usual one first. "best" ranks what full text finds."""

JUDGEMENT = ("p_from", "p_to", "unsure", "orders", "state", "final")
"""Filters whose answer tells what the AI or a peer chose."""
JUDGEMENT_SORTS = ("unsure", "p_low", "p_high", "audited")

LONGEST_TEXT = 300
_ONLY: Mapping[str, tuple[str, ...]] = {
    "p_from": ("label",), "p_to": ("label",), "unsure": ("label",), "orders": ("label", "audit"),
    "judge": ("label", "audit"), "state": ("label", "step"), "final": ("label", "step"),
    "auditor": ("label", "step", "audit"),
    "principle": ("label", "step", "audit"), "key": ("label", "step", "audit"), "stale": ("label", "step", "audit"),
    "flag": ("step", "audit"), "file": ("step", "audit"), "verdict": ("audit",), "reason": ("audit",),
    "source": ("comparison",), "commented": ("label", "step", "audit"),
    "imported": ("label", "step", "audit"), "about": ("audit",),
}  # fmt: skip
"""Which kinds a filter says something about; every kind where it is not listed."""


@dataclass(frozen=True)
class Filters:
    """One question to the explorer. Empty strings and None ask nothing."""

    kind: str = "label"
    constitution: str = ""
    """Slug."""
    version: int | None = None
    """Primary key of a published version."""
    principle: int | None = None
    """Primary key of a principle at a version."""
    key: str = ""
    """A principle's stable id, at whichever version."""
    judge: int | None = None
    run: int | None = None
    """A run's number."""
    checkpoint: int | None = None
    """Items of the run that made this checkpoint."""
    file: int | None = None
    """An import of traces."""
    prompt_set: int | None = None
    tag: str = ""
    """A tag of the prompt."""
    flag: str = ""
    source: str = ""
    p_from: float | None = None
    p_to: float | None = None
    unsure: float | None = None
    """At most this far from one half."""
    orders: str = ""
    """ "same": the same position in both orders; "agree": the same response."""
    state: str = ""
    """What people made of it; an adjudication is the last word."""
    final: str = ""
    """Where that comes from."""
    auditor: int | None = None
    """Somebody who gave a verdict; for audits, who gave this one."""
    commented: str = ""
    """ "yes": with a comment."""
    imported: str = ""
    """ "yes": with a verdict that was given elsewhere and imported; of audits, those that were."""
    verdict: str = ""
    reason: str = ""
    about: str = ""
    """What an audit is about: "label" or "step"."""
    stale: str = ""
    """Cites a principle whose meaning has changed by the newest version of its constitution ("stale"), or not."""
    since: date | None = None
    until: date | None = None
    """Both days included, UTC."""
    text: str = ""
    """Full text: words, "a phrase", or, -not."""
    like: int | None = None
    """The primary key of an item of the same kind: what reads like it."""
    sort: str = "newest"
    problems: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_query(cls, query: QueryDict | Mapping[str, str]) -> Filters:
        """What an address asks. Never raises; keys that are not declared are not read."""
        kind = query.get("kind") or "label"
        read: dict[str, Any] = {"kind": kind if kind in KINDS else "label"}
        problems = [] if kind in KINDS else [f"There is no kind of item {kind[:40]!r}; AI labels are shown."]
        for name, parse in _PARSERS.items():
            text = (query.get(name) or "").replace("\x00", "").strip()
            if not text:
                continue
            if read["kind"] not in _ONLY.get(name, KINDS):
                problems.append(f"“{WORDS[name]}” says nothing about {PLURALS[read['kind']]}, so it filters nothing.")
                continue
            try:
                read[name] = parse(text)
            except ValueError:
                problems.append(f"“{WORDS[name]}” cannot be {text[:40]!r}, so it filters nothing.")
        if read.get("sort", "newest") not in SORTS[read["kind"]]:
            problems.append(f"{PLURALS[read['kind']].capitalize()} have no such order; the newest come first.")
            read.pop("sort")
        if read.get("sort") == "best" and not read.get("text"):
            read.pop("sort")
        return cls(**read, problems=tuple(problems))

    def to_query(self) -> QueryDict:
        """The address that asks this, with nothing in it that asks nothing."""
        query = QueryDict(mutable=True)
        for name, value in self.asked().items():
            query[name] = _spelt(value)
        return query

    def asked(self) -> dict[str, Any]:
        """What is not as usual, by name, in the order of the fields."""
        usual = {one.name: one.default for one in fields(self) if one.name != "problems"}
        return {name: value for name in usual if (value := getattr(self, name)) != usual[name]}

    @property
    def is_active(self) -> bool:
        """Whether anything is filtered; the kind and the order are no filters."""
        return bool(self.asked().keys() - {"kind", "sort"})

    @property
    def reveals_judgement(self) -> bool:
        """Whether the answer tells what the AI or a peer chose of the items in it."""
        return self.sort in JUDGEMENT_SORTS or bool(self.asked().keys() & set(JUDGEMENT)) or self.kind == "audit"

    def without(self, *names: str) -> Filters:
        """The same question with some filters taken away."""
        usual: dict[str, Any] = {one.name: one.default for one in fields(self)}
        return replace(self, **{name: usual[name] for name in names})


def applies(name: str, kind: str) -> bool:
    """Whether a filter says something about items of a kind."""
    return kind in _ONLY.get(name, KINDS)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > LARGEST:
        raise ValueError(text)
    return int(text)


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise ValueError(text)
    return int(text)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(text)
    return share


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return parse


def _short(text: str) -> str:
    return text[:LONGEST_TEXT]


def _spelt(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else value.isoformat() if isinstance(value, date) else str(value)


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "constitution": _short, "version": _number, "principle": _number, "key": _short, "judge": _number, "run": _number,
    "checkpoint": _number, "file": _number, "prompt_set": _number, "tag": _short, "flag": _short,
    "source": _one_of(SOURCES), "p_from": _share, "p_to": _share, "unsure": _share, "orders": _one_of(ORDERS),
    "state": _one_of(STATES), "final": _one_of(FINALS),
    "auditor": _number, "commented": _one_of(("yes",)), "imported": _one_of(("yes",)),
    "verdict": _one_of(VERDICTS),
    "reason": _one_of(tuple(Audit.Reason.values)), "about": _one_of(("label", "step")), "stale": _one_of(STALENESS),
    "since": date.fromisoformat, "until": date.fromisoformat, "text": _short, "like": _id, "sort": _short,
}  # fmt: skip

WORDS: Mapping[str, str] = {
    "constitution": "Constitution", "version": "Version", "principle": "Principle at a version", "key": "Principle",
    "judge": "Judge", "run": "Run", "checkpoint": "Checkpoint", "file": "Imported file", "prompt_set": "Prompt set",
    "tag": "Tag", "flag": "Flag", "source": "Source", "p_from": "p(A) from", "p_to": "p(A) to",
    "unsure": "Distance of p(A) from one half", "orders": "Orders", "state": "State", "final": "Final by",
    "auditor": "Auditor", "commented": "Comment",
    "imported": "Given elsewhere", "verdict": "Verdict", "reason": "Reason", "about": "About",
    "stale": "Staleness", "since": "Since", "until": "Until", "text": "Text", "like": "Similar to", "sort": "Order",
}  # fmt: skip
"""What each filter is called on pages."""

PLURALS: Mapping[str, str] = {"label": "AI labels", "comparison": "comparisons", "step": "steps", "audit": "audits"}
