"""Read side: the history of one principle along the versions a state descends from, and who brought in which words.

Words are followed through the versions, and between two versions through the saved edits in the ledger, so that a word
belongs to whoever typed it and not only to whoever published. The number of queries is constant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from constitutions_app.approvals import approvals_of
from constitutions_app.core import diff
from constitutions_app.core import principles as core
from constitutions_app.core.ancestry import ancestors
from constitutions_app.core.blame import State, blame
from constitutions_app.ledger import name_of
from constitutions_app.lineages import graph_of, tips_of
from constitutions_app.meanings import principle_of_body
from constitutions_app.models import MAIN, Draft, LedgerEntry, PrincipleVersion, Version
from constitutions_app.models.ledger import principle_of_entry

FIELDS = ("text", "title", "rationale", "critique_request", "revision_request", "comparison_question")
TYPING = ("draft.edit_principle", "draft.add_principle", "draft.apply_suggestion", "draft.restore_principle")
MAX_ENTRIES = 2000


@dataclass(frozen=True)
class Moment:
    """A version (or the draft, `version` None) in which the principle came, changed or went."""

    anchor: str
    version: Version | None
    kind: str
    """"added", "edited", "merged" (its words are those of the second parent), "removed"."""
    spans: tuple[diff.Span, ...]
    others: tuple[str, ...]
    change: str
    """"semantic", "minor" or "" as the version recorded it."""
    typed_by: tuple[str, ...]
    approved_by: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """Neighbouring words with one origin. `anchor` is that of the moment they came in with."""

    text: str
    anchor: str
    label: str
    """"v3" or "draft"."""
    person: str
    at: datetime | None
    age: int
    """0 is the newest moment, then 1 … 4 (and older)."""


@dataclass(frozen=True)
class PrincipleHistory:
    """Blame of each field that has words, and the moments, newest first."""

    item: core.Principle
    fields: tuple[tuple[str, tuple[Words, ...]], ...]
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class _Node:
    """One state of the principle: a version or the draft."""

    id: int
    version: Version | None
    parents: tuple[int, ...]
    item: core.Principle | None
    change: str


def history_of(state: Version | Draft, key: str) -> PrincipleHistory:
    """The history of principle `key` up to a version or a draft. Raises KeyError where that state does not have it."""
    nodes = _nodes(state, key)
    last = nodes[-1]
    if last.item is None:
        raise KeyError(key)
    typed = _typed(state, key, nodes)
    moments = tuple(_moments(nodes, typed))[::-1]
    ages = {moment.anchor: min(age, 4) for age, moment in enumerate(moments)}
    fields = tuple((name, tuple(_words(name, nodes, typed, ages))) for name in FIELDS if str(getattr(last.item, name)))
    return PrincipleHistory(last.item, fields, moments)


def _nodes(state: Version | Draft, key: str) -> list[_Node]:
    """Every version that `state` descends from, oldest first, and the draft itself at the end where it is one."""
    graph = graph_of(state.constitution_id)
    tips = [state.pk] if isinstance(state, Version) else tips_of(state)
    wanted = ancestors(graph, tips)
    versions = Version.objects.filter(pk__in=wanted).select_related("author", "constitution").defer("canonical")
    rows = {
        pk: (principle_of_body(body), change)
        for pk, body, change in PrincipleVersion.objects.filter(version_id__in=wanted, key=key).values_list(
            "version_id", "body", "change"
        )
    }
    nodes = [
        _Node(version.pk, version, graph.get(version.pk, ()), *rows.get(version.pk, (None, "")))
        for version in versions.order_by("pk")
    ]
    if isinstance(state, Draft):
        row = state.principles.filter(key=key).first()
        nodes.append(_Node(0, None, tuple(tips), row.to_core() if row else None, ""))
    return nodes


def _moments(nodes: Sequence[_Node], typed: Mapping[int, list[LedgerEntry]]) -> Iterator[Moment]:
    items = {node.id: node.item for node in nodes}
    approved = approvals_of([node.version for node in nodes if node.version])
    effort = diff.Effort()
    for node in nodes:
        parents = [items.get(parent) for parent in node.parents]
        before = parents[0] if parents else None
        if node.item == before:
            continue
        others = diff.diff_principles(before, node.item, effort) if before and node.item else ()
        yield Moment(
            anchor=_anchor(node),
            version=node.version,
            kind=_kind(node.item, before, parents[1:]),
            spans=diff.diff_words(before.text if before else "", node.item.text if node.item else "", effort),
            others=tuple(part.name for part in others if part.name != "text"),
            change=node.change if node.change in ("semantic", "minor") else "",
            typed_by=tuple(dict.fromkeys(_writer(entry) for entry in typed.get(node.id, ()))),
            approved_by=tuple(name_of(verdict.person) for verdict in approved.get(node.id, ())),
        )


def _kind(now: core.Principle | None, before: core.Principle | None, others: Iterable[core.Principle | None]) -> str:
    if now is None:
        return "removed"
    if now in others:
        return "merged"
    return "edited" if before else "added"


def _words(
    name: str, nodes: Sequence[_Node], typed: Mapping[int, list[LedgerEntry]], ages: Mapping[str, int]
) -> Iterator[Words]:
    """Blame of one field."""
    states: list[State] = []
    entries: dict[str, tuple[_Node, LedgerEntry | None]] = {}
    for node in nodes:
        if node.item is None:
            continue
        parents = tuple(str(parent) for parent in node.parents)
        last: tuple[str, ...] = ()
        for entry in typed.get(node.id, ()):
            text = _typed_text(entry, name)
            if text is not None:
                state = State(f"e{entry.seq}", parents + last, text)
                states.append(state)
                entries[state.id] = (node, entry)
                last = (state.id,)
        states.append(State(str(node.id), parents + last, str(getattr(node.item, name))))
        entries[str(node.id)] = (node, None)
    for run in blame(states):
        node, origin = entries[run.origin]
        anchor = _anchor(node)
        version = node.version
        yield Words(
            text=run.text,
            anchor=anchor,
            label=str(version) if version else "draft",
            person=_writer(origin) if origin else name_of(version.author) if version else "",
            at=origin.at if origin else version.created_at if version else None,
            age=ages.get(anchor, 4),
        )


def _anchor(node: _Node) -> str:
    if node.version is None:
        return "draft"
    return f"{node.version.constitution.slug}-{node.version}"


def _typed(state: Version | Draft, key: str, nodes: Sequence[_Node]) -> dict[int, list[LedgerEntry]]:
    """Saved edits of the principle by the node they went into: those after its parent was published. Two queries.

    Only of the state's own constitution. Saves of one person that follow each other are one: the last.
    """
    mine = LedgerEntry.objects.filter(
        object_type=state.constitution._meta.label_lower, object_id=str(state.constitution_id)
    )
    told = mine.filter(verb="version.publish").values_list("seq", "body")
    published = {json.loads(body)["data"]["version"]: seq for seq, body in told}
    # By the index `ledger_by_principle`: however long the ledger is, only what was done to this principle is read.
    saved = mine.alias(named=principle_of_entry()).filter(named=key, verb__in=TYPING).order_by("-seq")
    entries = list(saved[:MAX_ENTRIES])[::-1]
    # Only its own versions: a fork's first version has a parent elsewhere, whose number says nothing here.
    numbers = {
        node.id: node.version.number
        for node in nodes
        if node.version and node.version.constitution_id == state.constitution_id
    }
    found: dict[int, list[LedgerEntry]] = {}
    for node in nodes:
        if node.version and node.version.constitution_id != state.constitution_id:
            continue
        branch = node.version.branch if node.version else state.branch
        start = published.get(numbers.get(node.parents[0], 0), 0) if node.parents else 0
        end = published.get(node.version.number, 0) if node.version else None
        within = [
            entry
            for entry in entries
            if entry.seq > start and (end is None or entry.seq < end) and _data(entry).get("branch", MAIN) == branch
        ]
        found[node.id] = [list(group)[-1] for _, group in groupby(within, key=_writer)]
    return found


def _data(entry: LedgerEntry) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(entry.body)["data"]
    return data


def _writer(entry: LedgerEntry) -> str:
    """Whose words an edit put there: the one who saved it, or who suggested what they applied."""
    suggested = _data(entry).get("suggested_by")
    return f"{suggested['name']}, applied by {entry.actor_name}" if suggested else entry.actor_name


def _typed_text(entry: LedgerEntry, name: str) -> str | None:
    """What an edit set the field to; None when it did not."""
    data = _data(entry)
    value = data.get("set", {}).get(name) if "set" in data else data.get(name)
    return value if isinstance(value, str) else None
