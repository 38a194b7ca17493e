"""Reading constitutions from files of other people's formats, and reading and writing our own.

`read` (a path) and `read_bytes` (an upload) never raise for what is in a file: they return a preview of what was
understood and, by line, what was not and why. `write` gives the bytes of our own format; what it writes reads back to
the same digest. Nothing here touches a database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from constitutions_app.core.interchange import (
    c3ai,
    llm_swarm,
    model_spec,
    open_character,
    own_json,
    own_markdown,
    own_yaml,
    paper,
    polis,
)
from constitutions_app.core.interchange.documents import Document, document, read_document
from constitutions_app.core.interchange.imported import Choice, Found, Imported, Link, NotUnderstood
from constitutions_app.core.interchange.located_json import parse
from constitutions_app.core.principles import Constitution, Principle

FORMATS = {
    "json": "Our own format as JSON",
    "yaml": "Our own format as YAML",
    "markdown": "Our own format as Markdown",
    "paper": "The Constitutional AI paper: critique and revision requests, or comparison questions",
    "llm-swarm": "Hugging Face llm-swarm: critic and revision pairs with system chats",
    "open-character": "OpenCharacterTraining: traits with probe questions",
    "model-spec": "OpenAI Model Spec: Markdown with anchors, levels of authority and footnoted examples",
    "c3ai": "C3AI: a table of statements and principles",
    "polis": "Polis: the export of comments with votes and group consensus",
}
MAX_PRINCIPLES = 5_000
MAX_SCENARIOS = 20_000
"""More than this comes from no constitution that people read."""

WRITTEN = ("json", "yaml", "markdown")

_ALIASES = {
    "yml": "yaml",
    "md": "markdown",
    "cai-paper": "paper",
    "anthropic": "paper",
    "llmswarm": "llm-swarm",
    "huggingface": "llm-swarm",
    "hf": "llm-swarm",
    "opencharacter": "open-character",
    "opencharactertraining": "open-character",
    "open-character-training": "open-character",
    "oct": "open-character",
    "modelspec": "model-spec",
    "openai": "model-spec",
    "openai-model-spec": "model-spec",
    "ccai": "polis",
}
_YAML = re.compile(r"^[\"']?(?:principles|exemplars|scenarios)[\"']? *:", re.MULTILINE)
_READERS = {
    "json": own_json.read,
    "yaml": own_yaml.read,
    "markdown": own_markdown.read,
    "llm-swarm": llm_swarm.read,
    "open-character": open_character.read,
    "model-spec": model_spec.read,
    "c3ai": c3ai.read,
    "polis": polis.read,
}


def format_named(name: str) -> str:
    """The format meant by `name`, which may be an alias in any case. Raises ValueError with the known names."""
    plain = "-".join(name.strip().lower().replace("_", "-").split())
    known = _ALIASES.get(plain, plain)
    if known not in FORMATS:
        raise ValueError(f"There is no format {name!r}; there are {', '.join(FORMATS)}.")
    return known


def detect(path: Path) -> str:
    """The format of a file by its content; empty when it looks like none that is known."""
    return detected(read_document(path))


def detected(document: Document) -> str:
    """The format of a document by its content; empty when it looks like none that is known."""
    opening = document.text.lstrip()[:1]
    if opening in ("{", "["):
        return _detected_json(document)
    if document.text.lstrip().startswith(own_markdown.MARK):
        return "markdown"
    if polis.looks_like(document):
        return "polis"
    if c3ai.looks_like(document):
        return "c3ai"
    if model_spec.looks_like(document):
        return "model-spec"
    if any(line.rstrip().lower() == "## principles" for line in document.lines):
        return "markdown"
    return "yaml" if _YAML.search(document.text) else ""


def read(path: Path, format: str | None = None, link: Path | None = None) -> Imported:
    """Read a file from disk. `link` names the paper's other file. Raises ValueError for an unknown `format` only."""
    return _imported(read_document(path), format, None if link is None else read_document(link))


def read_bytes(
    data: bytes,
    name: str,
    format: str | None = None,
    link: tuple[bytes, str] | None = None,
    beside: Mapping[str, bytes] | None = None,
    choices: Mapping[str, Choice] | None = None,
) -> Imported:
    """Read an uploaded file. `link` is the paper's other file with its name; `beside` holds files by relative path.

    `choices` says by a pair's id which question of the paper's other file a person links to it.
    """
    second = None if link is None else document(*link)
    return _imported(document(data, name, (beside or {}).get), format, second, choices)


def paper_lists(data: bytes, name: str, link: tuple[bytes, str]) -> tuple[list[Principle], list[Principle]] | None:
    """The pairs and the questions of the paper's two files, for a person to link; None when they are not those."""
    return paper.lists(document(data, name), document(*link))


def write(constitution: Constitution, format: str) -> str:
    """The constitution in our own format as `json`, `yaml` or `markdown`. Raises ValueError for any other."""
    writers = {"json": own_json.write, "yaml": own_yaml.write, "markdown": own_markdown.write}
    known = format_named(format)
    if known not in writers:
        raise ValueError(f"{FORMATS[known]} is read only; written are {', '.join(WRITTEN)}.")
    return writers[known](constitution)


def _imported(
    document: Document, format: str | None, link: Document | None, choices: Mapping[str, Choice] | None = None
) -> Imported:
    known = format_named(format) if format else detected(document)
    found = _found(document, known, link, choices)
    if len(found.principles) > MAX_PRINCIPLES or len(found.scenarios) > MAX_SCENARIOS:
        reason = f"Only the first {MAX_PRINCIPLES} principles and {MAX_SCENARIOS} scenarios were taken."
        document.remarks.add(0, document.name, reason)
    return Imported(
        format=known,
        constitution=Constitution(
            name=found.name or document.title,
            preamble=found.preamble,
            principles=found.principles[:MAX_PRINCIPLES],
            exemplars=found.exemplars,
        ),
        scenarios=found.scenarios[:MAX_SCENARIOS],
        not_understood=document.remarks.all(),
        provenance=found.provenance,
        unconfirmed_links=found.links,
    )


def _found(document: Document, known: str, link: Document | None, choices: Mapping[str, Choice] | None) -> Found:
    if not document.text.strip():
        if not document.remarks.items:
            document.remarks.add(1, "", "The file is empty.")
        return Found()
    if not known:
        if document.text.lstrip()[:1] in ("{", "[") and parse(document) is None:
            return Found()  # It is noted where the JSON breaks off.
        document.remarks.add(1, document.lines[0], f"This is none of the formats {', '.join(FORMATS)}.")
        return Found()
    if known == "paper":
        return paper.read(document, link, choices)
    if link is not None:
        document.remarks.add(0, link.name, "Only the two files of the paper can be linked.")
    return _READERS[known](document)


def _detected_json(document: Document) -> str:
    if open_character.looks_like_lines(document):
        return "open-character"
    try:
        value = json.loads(document.text)
    except (ValueError, RecursionError):
        return ""
    if isinstance(value, dict) and isinstance(value.get("principles"), list):
        return "json"
    if llm_swarm.looks_like(value):
        return "llm-swarm"
    if open_character.looks_like(value):
        return "open-character"
    if paper.looks_like(value):
        return "paper"
    return (
        "json" if isinstance(value, dict) and {"schema", "principles", "exemplars", "scenarios"} & value.keys() else ""
    )


__all__ = [
    "FORMATS",
    "WRITTEN",
    "Choice",
    "Imported",
    "Link",
    "NotUnderstood",
    "detect",
    "detected",
    "format_named",
    "paper_lists",
    "read",
    "read_bytes",
    "write",
]
