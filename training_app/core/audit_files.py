"""Verdicts that people gave elsewhere, read from a file: our own export of labels, or annotated pairs (ICAI 2.0).

JSONL, one object a line: ``{"comparison", "choice": "a" | "b" | "neither", "principle"?, "auditor"?, "confidence"?,
"reason"?, "comment"?, "blind"?, "prompt"?, "chosen"?, "rejected"?}``. Lines of our export carry the choice as
`audit_choice` and which response it trained on as `chosen`; a line nobody judged is passed over and counted. In
annotated pairs every annotator that is a person gives a verdict on each pair it prefers something in; principles and
models do not.

What is left out: which label here a line is about (`audit_files.py` of the app), and verdicts on trace steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from training_app.core.annotated_pairs import AnnotatedPairs, read_pairs
from training_app.core.errors import BadInput

CHOICES = ("a", "b", "neither")
SOMEBODY = "somebody"
"""Who judged where the file names nobody."""

LONGEST_NAME = 100
LONGEST_COMMENT = 4000
PEOPLE = ("human", "person", "people", "unknown")
"""Types of annotators that are people; "unknown" is what a file without types says."""


@dataclass(frozen=True)
class ReadAudit:
    """One verdict of a file. `texts`: response A and B as the file has them, if it does; `principle`: a stable id."""

    place: int
    """The line of a JSONL file, the number of the pair in annotated pairs; from 1."""
    comparison: str
    choice: str
    principle: str = ""
    auditor: str = SOMEBODY
    texts: tuple[str, str] | None = None
    confidence: int | None = None
    reason: str = ""
    comment: str = ""
    blind: bool = False


@dataclass(frozen=True)
class AuditFile:
    """A file read whole: its verdicts, a sentence for every place not understood, and how many say nothing."""

    format: str
    audits: tuple[ReadAudit, ...]
    problems: tuple[str, ...] = ()
    passed_over: int = 0
    source: Mapping[str, Any] = field(default_factory=dict)
    """What the file says about itself."""


def read_audits(content: bytes, reasons: tuple[str, ...]) -> AuditFile:
    """Read a file of either format. `reasons`: the codes a verdict may give. Never raises for what a file holds."""
    if not _is_one_object(content):
        return _from_lines(content, reasons)
    try:
        return _from_pairs(read_pairs(content))
    except BadInput as error:
        return AuditFile("icai", (), (error.message,))


def _is_one_object(content: bytes) -> bool:
    """Whether the whole file is one JSON object with comparisons in it, as annotated pairs are."""
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "comparisons" in value


def _from_pairs(found: AnnotatedPairs) -> AuditFile:
    names = {one.id: one.name or one.id for one in found.annotators if one.type.casefold() in PEOPLE}
    audits, passed = [], 0
    for place, pair in enumerate(found.pairs, start=1):
        for annotator in names.keys() & pair.annotations.keys():
            said = pair.annotations[annotator]
            choice = pair.preference(annotator) or ("neither" if said.get("no_pref_reason") == "tie" else "")
            if not choice:
                passed += 1
                continue
            texts = (pair.response_a, pair.response_b)
            audits.append(ReadAudit(place, pair.id, choice, auditor=names[annotator][:LONGEST_NAME], texts=texts))
    audits.sort(key=lambda one: (one.place, one.auditor))
    return AuditFile("icai", tuple(audits), passed_over=passed, source=found.metadata)


def _from_lines(content: bytes, reasons: tuple[str, ...]) -> AuditFile:
    audits: list[ReadAudit] = []
    problems: list[str] = []
    passed = 0
    for number, line in _lines(content):
        try:
            found = _audit(json.loads(line.decode("utf-8-sig")), number, reasons)
        except (UnicodeDecodeError, ValueError, RecursionError):
            problems.append(f"Line {number}: this is not a JSON object.")
        except BadInput as error:
            problems.append(f"Line {number}: {error.message}")
        else:
            audits += [found] if found else []
            passed += found is None
    return AuditFile("jsonl", tuple(audits), tuple(problems), passed)


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(content.split(b"\n"), start=1) if line.strip())


def _audit(row: Any, number: int, reasons: tuple[str, ...]) -> ReadAudit | None:
    """The verdict of one line; None where nobody gave one. Raises BadInput."""
    if not isinstance(row, dict):
        raise BadInput("this is not a JSON object.")
    if "audit_choice" in row and not row.get("choice"):
        if not row["audit_choice"]:
            return None
        row = {**row, "choice": row["audit_choice"]}
    comparison, choice = row.get("comparison"), row.get("choice")
    if not isinstance(comparison, str) or not comparison:
        raise BadInput('it names no "comparison".')
    if choice not in CHOICES:
        raise BadInput('"choice" should be "a", "b" or "neither".')
    confidence = row.get("confidence")
    if confidence is not None and (type(confidence) is not int or not 1 <= confidence <= 4):
        raise BadInput('"confidence" should be 1 (a guess) to 4 (certain).')
    reason = row.get("reason") or ""
    if reason and reason not in reasons:
        raise BadInput(f'"reason" should be one of {", ".join(reasons)}.')
    comment = _text(row, "comment")
    if len(comment) > LONGEST_COMMENT:
        raise BadInput(f'"comment" is longer than {LONGEST_COMMENT} characters.')
    principle = _text(row, "principle").rpartition("/")[2]
    return ReadAudit(
        place=number,
        comparison=comparison,
        choice=choice,
        principle="" if principle == "*" else principle,
        auditor=_text(row, "auditor")[:LONGEST_NAME] or SOMEBODY,
        texts=_texts(row),
        confidence=confidence,
        reason=reason,
        comment=comment,
        blind=row.get("blind") is True,
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name) or ""
    if not isinstance(value, str):
        raise BadInput(f'"{name}" should be a text.')
    return value.replace("\x00", "").strip()


def _texts(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Response A and B of a line of our own export, which says which of them was chosen."""
    sides = [row.get("chosen"), row.get("rejected")]
    if row.get("chosen_is") not in ("a", "b") or not all(isinstance(side, list) and side for side in sides):
        return None
    chosen, rejected = (str(side[-1].get("content", "")) for side in sides if isinstance(side, list))
    return (chosen, rejected) if row["chosen_is"] == "a" else (rejected, chosen)
