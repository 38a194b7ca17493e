"""Annotated pairs, the format of Inverse Constitutional AI (version 2.0): who prefers which response of each pair.

``{"comparisons": [{"id", "prompt", "response_a": {"text", "model"}, "response_b": …, "annotations": {id: {"pref": …}},
"metadata"}], "annotators": {id: {"name", "description", "type"}}, "metadata": {"version": "2.0", …}}``.
A principle of a constitution is an annotator; so is what people chose. `pref` is "a", "b", or null with a
`no_pref_reason`. Whatever else an annotator or an annotation carries is kept as it is.

Written one comparison at a time, so that a million need no more memory than one. Read whole: JSON is one value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from training_app.core.errors import BadInput

VERSION = "2.0"
HEAD = '{"comparisons":['
PREFERENCES = ("a", "b")


@dataclass(frozen=True)
class Annotator:
    """Who prefers: a principle (its text is `description`), or people. `said`: everything else the file tells."""

    id: str
    name: str
    type: str
    description: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """One comparison. `annotations`: annotator id → ``{"pref": …}`` and whatever else is said about it."""

    id: str
    prompt: Any
    response_a: str
    response_b: str
    annotations: Mapping[str, Mapping[str, Any]]
    models: tuple[str, str] = ("", "")
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def preference(self, annotator: str) -> str:
        """ "a", "b", or "" when this annotator prefers neither or said nothing."""
        said = self.annotations.get(annotator, {}).get("pref")
        return said if said in PREFERENCES else ""


@dataclass(frozen=True)
class AnnotatedPairs:
    """A whole file; `default` is the annotator whose choice counts where one is needed, or empty."""

    annotators: tuple[Annotator, ...]
    pairs: tuple[Pair, ...]
    default: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


def write_pairs(
    annotators: Iterable[Annotator], pairs: Iterable[Pair], *, default: str, metadata: Mapping[str, Any]
) -> Iterator[str]:
    """The file in pieces, one a comparison."""
    yield HEAD
    for place, pair in enumerate(pairs):
        yield pair_line(pair, is_first=not place)
    yield closing(annotators, default=default, metadata=metadata)


def pair_line(pair: Pair, *, is_first: bool) -> str:
    """A comparison behind those before it, with the one line break that it has at its beginning."""
    return f"{'' if is_first else ','}\n{_json(_pair_row(pair))}"


def closing(annotators: Iterable[Annotator], *, default: str, metadata: Mapping[str, Any]) -> str:
    """What stands behind the comparisons: who annotated them is known for certain only then."""
    about = {"version": VERSION, "default_annotator": default or None, **metadata}
    named = {
        one.id: {"name": one.name, "description": one.description, "type": one.type, **one.said} for one in annotators
    }
    return f'\n],"annotators":{_json(named)},"metadata":{_json(about)}}}\n'


def read_pairs(content: bytes) -> AnnotatedPairs:
    """The file read back. Raises BadInput naming the comparison and the reason."""
    try:
        body = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"The file is not JSON ({str(error)[:200]}).") from error
    if not isinstance(body, dict) or not isinstance(body.get("comparisons"), list):
        raise BadInput('The file has no list "comparisons": it holds no annotated pairs.')
    metadata = dict(body["metadata"]) if isinstance(body.get("metadata"), dict) else {}
    if str(metadata.pop("version", VERSION)).partition(".")[0] != VERSION.partition(".")[0]:
        raise BadInput(f"Annotated pairs of version {VERSION} are read, not of another one.")
    named = body.get("annotators") or {}
    annotators = tuple(_annotator(key, value) for key, value in named.items()) if isinstance(named, dict) else ()
    known = {one.id for one in annotators}
    pairs = tuple(_pair(row, number, known) for number, row in enumerate(body["comparisons"], start=1))
    return AnnotatedPairs(annotators, pairs, str(metadata.pop("default_annotator", None) or ""), metadata)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _pair_row(pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.id,
        "prompt": pair.prompt,
        "response_a": {"text": pair.response_a, "model": pair.models[0]},
        "response_b": {"text": pair.response_b, "model": pair.models[1]},
        "annotations": pair.annotations,
        "metadata": pair.metadata,
    }


def _annotator(key: str, value: Any) -> Annotator:
    if not isinstance(value, dict):
        raise BadInput(f"Annotator {key[:80]!r} should be an object.")
    said = {name: part for name, part in value.items() if name not in ("name", "description", "type")}
    name, description = str(value.get("name") or ""), str(value.get("description") or "")
    return Annotator(key, name, str(value.get("type") or "unknown"), description, said)


def _pair(row: Any, number: int, known: set[str]) -> Pair:
    where = f"Comparison {number}"
    if not isinstance(row, dict):
        raise BadInput(f"{where} should be an object.")
    texts: list[Any] = [row.get(side) for side in ("response_a", "response_b")]
    if not all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in texts):
        raise BadInput(f'{where} needs "response_a" and "response_b", each with a "text".')
    annotations = row.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise BadInput(f'{where}: "annotations" should be an object.')
    for annotator, one in annotations.items():
        if annotator not in known:
            raise BadInput(f"{where} is annotated by {annotator[:80]!r}, which is not among the annotators.")
        if not isinstance(one, dict) or not isinstance(one.get("pref"), str | None):
            raise BadInput(f'{where}: "pref" should be "a", "b" or null.')
    return Pair(
        id=str(row.get("id") or number),
        prompt=row.get("prompt") or "",
        response_a=texts[0]["text"],
        response_b=texts[1]["text"],
        annotations=annotations,
        models=(str(texts[0].get("model") or ""), str(texts[1].get("model") or "")),
        metadata=row["metadata"] if isinstance(row.get("metadata"), dict) else {},
    )
