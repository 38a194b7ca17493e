"""A constitution as plain frozen values, its canonical JSON and its digest.

Everything downstream (versions, stages, checkpoints) names a constitution by `digest`, so the canonical form must be
the same in every process and for every order of keys: keys sorted, no white space, UTF-8, strings in Unicode NFC,
line ends as ``\\n``, numbers as Python's shortest float. What is left out: how a principle becomes a prompt
(`wordings.py`) and how two constitutions differ (`diff.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

SCHEMA = 1
STAGES = ("revise", "label")
"""Stages a principle can serve: critique and revision (SL-CAI), AI preference labels (RL-CAI)."""

MAX_WEIGHT = 100.0

_HALF_PAIR = re.compile("[\ud800-\udfff]")


class MalformedConstitution(ValueError):
    """The given data is not a constitution; the message says which part and why, in one sentence."""


@dataclass(frozen=True)
class Source:
    """Where a principle comes from: a document, an article of it, and a link. Each may be empty."""

    document: str = ""
    article: str = ""
    url: str = ""


@dataclass(frozen=True)
class Principle:
    """One rule. `id` stays the same through all versions; empty wordings are derived from `text`."""

    id: str
    title: str
    text: str
    rationale: str = ""
    source: Source = field(default_factory=Source)
    tags: tuple[str, ...] = ()
    weight: float = 1.0
    strict: bool = False
    enabled: bool = True
    stages: tuple[str, ...] = STAGES
    critique_request: str = ""
    revision_request: str = ""
    comparison_question: str = ""
    positive_examples: tuple[str, ...] = ()
    negative_examples: tuple[str, ...] = ()

    def serves(self, stage: str) -> bool:
        """Whether `stage` ("revise" or "label") may sample this principle."""
        return self.enabled and self.weight > 0 and stage in self.stages


@dataclass(frozen=True)
class Exemplar:
    """A worked example shown to the model before its own critique and revision (paper, section 3.1)."""

    prompt: str
    response: str
    critique_request: str
    critique: str
    revision_request: str
    revision: str


@dataclass(frozen=True)
class Constitution:
    """A whole constitution: what a draft holds and what a version freezes."""

    name: str
    preamble: str = ""
    principles: tuple[Principle, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()

    def serving(self, stage: str) -> tuple[Principle, ...]:
        """The principles that `stage` may sample, in the constitution's order."""
        return tuple(principle for principle in self.principles if principle.serves(stage))

    def principle(self, principle_id: str) -> Principle | None:
        """The principle with this stable id, or None."""
        return next((principle for principle in self.principles if principle.id == principle_id), None)


def normalise(text: str) -> str:
    """Text as it is digested: Unicode NFC, ``\\n`` line ends, no NUL (PostgreSQL holds none), no space around.

    Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes U+FFFD, the character for what is unreadable.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    if not plain.isascii():
        plain = _HALF_PAIR.sub("\ufffd", plain)
    return unicodedata.normalize("NFC", plain).strip()


def canonical_json(constitution: Constitution) -> str:
    """The one text that stands for a constitution, whatever order its keys were given in."""
    body = {"schema": SCHEMA, **_normalised(asdict(constitution))}
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def digest_of_text(text: str) -> str:
    """sha256 of a text's UTF-8 bytes, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def digest(constitution: Constitution) -> str:
    """sha256 of the canonical JSON, 64 hexadecimal digits."""
    return digest_of_text(canonical_json(constitution))


def from_json(text: str) -> Constitution:
    """Read canonical (or any equivalent) JSON. Raises MalformedConstitution with the part and the reason."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise MalformedConstitution(f"Not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise MalformedConstitution("Not readable: it nests too deep, or a number has too many digits.") from error
    return from_dict(data)


def from_dict(data: object) -> Constitution:
    """Build a constitution from parsed JSON or YAML. Raises MalformedConstitution with the part and the reason."""
    body = _mapping(data, "The constitution")
    if body.get("schema", SCHEMA) != SCHEMA:
        raise MalformedConstitution(f"This is schema {body.get('schema')!r}; this program reads schema {SCHEMA}.")
    principles = tuple(
        _principle(item, f"Principle {position}")
        for position, item in enumerate(_list(body, "principles", ""), start=1)
    )
    seen: set[str] = set()
    for principle in principles:
        if principle.id in seen:
            raise MalformedConstitution(f"Two principles have the id {principle.id!r}; ids must be unique.")
        seen.add(principle.id)
    return Constitution(
        name=_text(body, "name", "The constitution", required=True),
        preamble=_text(body, "preamble", "The constitution"),
        principles=principles,
        exemplars=tuple(
            _exemplar(item, f"Exemplar {position}")
            for position, item in enumerate(_list(body, "exemplars", ""), start=1)
        ),
    )


def _principle(item: object, where: str) -> Principle:
    data = _mapping(item, where)
    _refuse_unknown(data, Principle, where)
    source = _mapping(data.get("source") or {}, f"{where}, source")
    _refuse_unknown(source, Source, f"{where}, source")
    stages = _texts(data, "stages", where) if "stages" in data else STAGES
    if unknown := [stage for stage in stages if stage not in STAGES]:
        raise MalformedConstitution(f"{where} names the unknown stage {unknown[0]!r}; there are {', '.join(STAGES)}.")
    return Principle(
        id=_text(data, "id", where, required=True),
        title=_text(data, "title", where),
        text=_text(data, "text", where),
        rationale=_text(data, "rationale", where),
        source=Source(**{name: _text(source, name, where) for name in ("document", "article", "url")}),
        tags=_texts(data, "tags", where),
        weight=_weight(data, where),
        strict=_flag(data, "strict", where, default=False),
        enabled=_flag(data, "enabled", where, default=True),
        stages=tuple(stage for stage in STAGES if stage in stages),
        critique_request=_text(data, "critique_request", where),
        revision_request=_text(data, "revision_request", where),
        comparison_question=_text(data, "comparison_question", where),
        positive_examples=_texts(data, "positive_examples", where),
        negative_examples=_texts(data, "negative_examples", where),
    )


def _exemplar(item: object, where: str) -> Exemplar:
    data = _mapping(item, where)
    _refuse_unknown(data, Exemplar, where)
    return Exemplar(**{part.name: _text(data, part.name, where, required=True) for part in fields(Exemplar)})


def _normalised(value: Any) -> Any:
    if isinstance(value, str):
        return normalise(value)
    if isinstance(value, dict):
        return {key: _normalised(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_normalised(part) for part in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) + 0.0  # 1 and 1.0 are one weight, and so are 0.0 and -0.0
    return value


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MalformedConstitution(f"{where} should be a mapping of names to values, not {type(value).__name__}.")
    return value


def _refuse_unknown(data: Mapping[str, Any], kind: type, where: str) -> None:
    known = {part.name for part in fields(kind)}
    if unknown := sorted(str(name) for name in data if name not in known):
        raise MalformedConstitution(
            f"{where} has the unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}."
        )


def _list(data: Mapping[str, Any], name: str, where: str) -> list[Any]:
    value = data.get(name) or []
    if not isinstance(value, list | tuple):
        raise MalformedConstitution(f"{where or 'The constitution'}: {name} should be a list.")
    return list(value)


def _text(data: Mapping[str, Any], name: str, where: str, *, required: bool = False) -> str:
    value = data.get(name)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise MalformedConstitution(f"{where}: {name} should be text, not {type(value).__name__}.")
    clean = normalise(value)
    if required and not clean:
        raise MalformedConstitution(f"{where}: {name} is missing.")
    return clean


def _texts(data: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    values = _list(data, name, where)
    if wrong := [value for value in values if not isinstance(value, str)]:
        raise MalformedConstitution(f"{where}: {name} should hold texts only, found {type(wrong[0]).__name__}.")
    return tuple(clean for value in values if (clean := normalise(value)))


def _weight(data: Mapping[str, Any], where: str) -> float:
    value = data.get("weight", 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedConstitution(f"{where}: weight should be a number, not {type(value).__name__}.")
    if not 0 <= value <= MAX_WEIGHT:  # nor is NaN
        raise MalformedConstitution(f"{where}: weight {str(value)[:20]} is not between 0 and {MAX_WEIGHT:g}.")
    return float(value) + 0.0


def _flag(data: Mapping[str, Any], name: str, where: str, *, default: bool) -> bool:
    value = data.get(name, default)
    if not isinstance(value, bool):
        raise MalformedConstitution(f"{where}: {name} should be true or false, not {value!r}.")
    return value
