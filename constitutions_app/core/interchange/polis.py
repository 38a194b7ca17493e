"""Polis: the export of comments with their votes and, where it was computed, each group's consensus.

A comment becomes a principle. Its votes and consensus are kept twice: exactly, as the import's provenance, and in a
sentence in the principle's source, so that they are digested and travel with every version. Further columns of figures
are kept as provenance too. Who wrote a comment is left out, and so is what else may name a person. Comments that were
moderated out are reported, and so are unmoderated ones where the others were moderated in.
"""

from __future__ import annotations

import math
import re

from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.imported import Found, Provenance, Remarks
from constitutions_app.core.interchange.naming import MAX_ARTICLE, MAX_DOCUMENT, Ids, short, title_from
from constitutions_app.core.interchange.tables import Row, column_name, header, rows
from constitutions_app.core.principles import Principle, Source, normalise

_BODY = ("comment-body", "comment", "txt")
_VOTES = {
    "agrees": ("agrees", "total-agrees", "agree"),
    "disagrees": ("disagrees", "total-disagrees", "disagree"),
    "passes": ("passes", "total-passes", "pass"),
}
_VERBS = (("agrees", "agree"), ("disagrees", "disagree"), ("passes", "pass"))
_GROUP = re.compile(r"group-([a-z0-9]+)-(.+)")
_READ_OVER = {"comment-id", "timestamp", "datetime", "author-id", "moderated", "total-votes", "importance", "velocity"}
_MODERATED_OUT, _MODERATED_IN = "-1", "1"


def looks_like(document: Document) -> bool:
    """Whether the first line names this format's columns."""
    columns = set(header(document))
    return "comment-body" in columns or ("comment-id" in columns and bool(columns & set(_BODY)))


def read(document: Document) -> Found:
    """What the document says; the rest stands in its remarks."""
    columns = header(document)
    if not set(columns) & set(_BODY):
        document.remarks.add(1, ", ".join(columns), "There is no column named comment-body.")
        return Found()
    table = list(rows(document))
    figures = _figures(document, columns, table)
    moderated = any(_moderation(row) == _MODERATED_IN for row in table)
    ids = Ids()
    principles: list[Principle] = []
    provenance: dict[str, Provenance] = {}
    for row in table:
        body = normalise(row.cell(*_BODY))
        if reason := _left_out(row, body, moderated):
            document.remarks.add(row.line, body or row.text, reason)
            continue
        facts = _facts(row, document.remarks)
        kept = {name: _number(row, row.cell(name), name, document.remarks) for name in figures}
        facts |= {row.spelled[name]: figure for name, figure in kept.items() if figure is not None}
        number = row.cell("comment-id")
        principle_id = ids.keep(f"comment-{number}" if number else "", f"line-{row.line}")
        provenance[principle_id] = facts
        principles.append(
            Principle(
                id=principle_id,
                title=title_from(body),
                text=body,
                source=Source(document=short(document.name, MAX_DOCUMENT), article=_told(number, facts)),
            )
        )
    return Found(principles=tuple(principles), provenance=provenance)


def _figures(document: Document, columns: tuple[str, ...], table: list[Row]) -> list[str]:
    """Columns we do not know that hold figures only: kept as they are. Others may name people, so they are left out."""
    known = {*_BODY, *_READ_OVER, *(name for names in _VOTES.values() for name in names)}
    figures = []
    for name in dict.fromkeys(columns):
        if name in known or _GROUP.fullmatch(name):
            continue
        names_somebody = "id" in name.split("-")
        if not name and not any(row.cell(name) for row in table):
            continue
        if name and not names_somebody and all(_is_figure(row.cell(name)) for row in table):
            figures.append(name)
        else:
            document.remarks.add(1, name, f"The Polis export has no column {name!r}; it was left out.")
    return figures


def _is_figure(cell: str) -> bool:
    try:
        return not cell or math.isfinite(float(cell))
    except ValueError:
        return False


def _left_out(row: Row, body: str, moderated: bool) -> str:
    """Why the row becomes no principle; empty when it becomes one."""
    if not body:
        return "This comment is empty."
    if _moderation(row) == _MODERATED_OUT:
        return "This comment was moderated out."
    if moderated and _moderation(row) != _MODERATED_IN:
        return "This comment was not moderated in, and others of this file were."
    return ""


def _moderation(row: Row) -> str:
    return row.cell("moderated").removesuffix(".0")


def _facts(row: Row, remarks: Remarks) -> dict[str, str | int | float]:
    """Votes and group figures as numbers, by the names they have in the file."""
    facts: dict[str, str | int | float] = {}
    if number := row.cell("comment-id"):
        facts["comment-id"] = number
    for name, columns in _VOTES.items():
        votes = _number(row, row.cell(*columns), name, remarks)
        if votes is not None:
            facts[name] = votes
    for column in row.cells:
        if _GROUP.fullmatch(column):
            figure = _number(row, row.cell(column), column, remarks)
            if figure is not None and _is_consensus(column) and not 0 <= figure <= 1:
                remarks.add(row.line, row.cell(column), f"{column} should lie between 0 and 1; it was left out.")
            elif figure is not None:
                facts[row.spelled[column]] = figure
    return facts


def _is_consensus(column: str) -> bool:
    """Whether a group's column tells its consensus, in [0, 1]."""
    return column.endswith("-consensus")


def _number(row: Row, cell: str, name: str, remarks: Remarks) -> int | float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        remarks.add(row.line, cell, f"{name} should be a number; it was left out.")
        return None
    return int(value) if value.is_integer() and "." not in cell else value


def _told(number: str, facts: Provenance) -> str:
    """The votes and each group's consensus as one sentence."""
    votes = ", ".join(f"{facts[name]} {verb}" for name, verb in _VERBS if name in facts)
    groups = "; ".join(
        f"group {match[1]} consensus {float(value):.3f}"
        for column, value in facts.items()
        if (match := _GROUP.fullmatch(column_name(column))) and _is_consensus(column_name(column))
    )
    told = "; ".join(part for part in (votes, groups) if part)
    name = f"Comment {number}" if number else "Comment"
    return short(f"{name}: {told}" if told else name, MAX_ARTICLE)
