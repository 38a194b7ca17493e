"""Worked examples that belong to a constitution version *and* a model family, and what makes one unfit to show.

A model copies the form of its examples, mistakes included: one public set, written by the model it was for, contains a
revision that is its critique. So examples are checked by the flags of a revision step before they are kept. A revision
that changes nothing is allowed: the paper shows two, so that a model learns to leave a good answer alone (section 3.1).
Left out: having a model write them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from constitutions_app.core.principles import Constitution, Exemplar, digest_of_text, normalise
from training_app.core.errors import BadInput
from training_app.core.job import Job
from training_app.core.signals import step_flags

UNFIT = ("critique_as_revision", "preamble", "empty", "language_switch")
"""Flags with which an example would teach a model the very mistake it is there to prevent."""

MOST = 20
PARTS = tuple(part.name for part in fields(Exemplar))


def exemplar_from_row(row: Mapping[str, Any]) -> Exemplar:
    """Read ``{"prompt", "response", "critique_request", "critique", "revision_request", "revision"}``.

    Raises ValueError naming the part that is missing, unknown or no text.
    """
    if unknown := sorted(set(row) - set(PARTS)):
        raise ValueError(f"unknown part {unknown[0]!r}; known are {', '.join(PARTS)}")
    for name in PARTS:
        if not isinstance(row.get(name), str) or not normalise(row[name]):
            raise ValueError(f"{name} should be text and not empty")
    return Exemplar(**{name: normalise(row[name]) for name in PARTS})


def read_exemplars(text: str) -> tuple[Exemplar, ...]:
    """A JSON list of examples, each fit to be shown. Raises BadInput naming the example and what is wrong with it."""
    try:
        rows = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"The examples are not JSON: {error}.") from error
    if not isinstance(rows, list) or not rows or len(rows) > MOST:
        raise BadInput(f"A JSON list of 1 to {MOST} examples is needed.")
    found = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise BadInput(f"Example {number} should be an object, not {type(row).__name__}.")
        try:
            found.append(exemplar_from_row(row))
        except ValueError as error:
            raise BadInput(f"Example {number}: {error}.") from error
        if problem := why_unfit(found[-1]):
            raise BadInput(f"Example {number} is flagged {problem}: a model would copy that.", "Rewrite its revision.")
    return tuple(found)


def why_unfit(one: Exemplar) -> str:
    """The flag that makes an example unfit; "" when it is fit."""
    flags = step_flags(one.response, one.critique, one.revision, is_cut=False)
    return next((flag for flag in flags if flag in UNFIT), "")


def exemplar_rows(exemplars: Sequence[Exemplar]) -> list[dict[str, str]]:
    """The examples as plain rows, for a job's input."""
    return [asdict(one) for one in exemplars]


def exemplars_digest(exemplars: Sequence[Exemplar]) -> str:
    """sha256 of the examples as canonical JSON."""
    return digest_of_text(json.dumps(exemplar_rows(exemplars), sort_keys=True, ensure_ascii=False))


def with_family_exemplars(job: Job) -> Constitution:
    """The job's constitution, its worked examples replaced by ``inputs.exemplars`` where the job has some."""
    constitution = job.constitution()
    if not job.has_input("exemplars"):
        return constitution
    return replace(constitution, exemplars=tuple(job.read_input("exemplars", exemplar_from_row)))


def family_of(folder: Path) -> str:
    """A model's family, as its config.json names it ("llama", "qwen2"); "" when it names none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    family = config.get("model_type") if isinstance(config, dict) else None
    return family[:60] if isinstance(family, str) else ""
