"""Our own format as YAML: paragraphs folded at 100 columns, so that a changed word is a short change of lines.

Written by hand and not by PyYAML, because its two emitters differ and the bytes must not depend on how it was built:
a text becomes plain, folded, literal or double-quoted, whichever is the most readable that gives it back exactly.
Reading takes one document without aliases (a few of them can stand for gigabytes), dates and Python objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

import yaml

from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.imported import Found
from constitutions_app.core.interchange.located_json import MAX_DEPTH, Located, Path
from constitutions_app.core.interchange.own import as_data, read_data
from constitutions_app.core.principles import Constitution

_WIDTH = 100
_MAX_PARTS = 300_000
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?:,? [A-Za-z0-9_-]+)*")
_NOT_PLAIN = {"yes", "no", "true", "false", "on", "off", "null", "y", "n"}
# What YAML cannot hold bare, and what some of its readers take for the end of a line or of the text.
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# A lone space between two other signs: a folded line may end there and is joined by exactly one space.
_FOLD = re.compile(r"(?<=[^\s]) (?=[^\s])")


def write(constitution: Constitution) -> str:
    """The constitution as YAML with a final line end."""
    return "\n".join(_mapping(as_data(constitution), 0)) + "\n"


def _mapping(data: dict[str, Any], indent: int) -> Iterator[str]:
    for name, value in data.items():
        yield from _entry(f"{' ' * indent}{name}:", value, indent + 2)


def _entry(opening: str, value: Any, indent: int) -> Iterator[str]:
    """Lines that begin with `opening` and go on, indented, with the value."""
    if isinstance(value, dict):
        yield opening
        yield from _mapping(value, indent)
    elif isinstance(value, list | tuple):
        yield opening if value else f"{opening} []"
        for item in value:
            yield from _item(item, indent)
    elif isinstance(value, str):
        yield from _text(opening, value, indent)
    else:
        yield f"{opening} {_number(value) if isinstance(value, float) else json.dumps(value)}"


def _number(value: float) -> str:
    """A float that YAML 1.1 takes for one: it wants a point, also before an exponent."""
    text = repr(value)
    return text.replace("e", ".0e") if "." not in text else text


def _item(item: Any, indent: int) -> Iterator[str]:
    dash = f"{' ' * indent}-"
    if isinstance(item, dict):
        first, *rest = _mapping(item, indent + 2)
        yield f"{dash} {first.lstrip(' ')}"
        yield from rest
    else:
        yield from _entry(dash, item, indent + 2)


def _text(opening: str, text: str, indent: int) -> Iterator[str]:
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN and len(opening) + len(text) < _WIDTH:
        yield f"{opening} {text}"
    elif _ESCAPED.search(text) or not text or text[0].isspace() or text[-1].isspace():
        yield f"{opening} {_quoted(text)}"
    elif "\n" in text:
        yield f"{opening} |-"
        yield from (" " * indent + line if line else "" for line in text.split("\n"))
    elif len(opening) + len(text) < _WIDTH - 2:
        yield f"{opening} {_quoted(text)}"
    else:
        yield f"{opening} >-"
        yield from (" " * indent + line for line in _folded(text, _WIDTH - indent))


def _quoted(text: str) -> str:
    """A double-quoted scalar. JSON's escapes are YAML's too; what YAML cannot hold bare is escaped as well."""
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", json.dumps(text, ensure_ascii=False))


def _folded(text: str, width: int) -> Iterator[str]:
    start = end = 0
    for match in _FOLD.finditer(text):
        if match.start() - start > width and end > start:
            yield text[start:end]
            start = end + 1
        end = match.start()
    if len(text) - start > width and end > start:
        yield text[start:end]
        start = end + 1
    yield text[start:]


if TYPE_CHECKING:
    _Base = yaml.SafeLoader
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one where PyYAML was built with it


class _Loader(_Base):
    """Text, numbers, true and false; no dates, no merge keys: a date in a title is a mistake to be told, not a date."""

    yaml_implicit_resolvers = {
        sign: [
            (tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[-1] in {"bool", "int", "float", "null"}
        ]
        for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(document: Document) -> Found:
    """What the document says; the rest stands in its remarks."""
    located = parse(document)
    return Found() if located is None else read_data(located.value, located.line, document.remarks)


def parse(document: Document) -> Located | None:
    """The document as located data, or None with the reason in the document's remarks."""
    remarks = document.remarks
    try:
        if problem := _refused(document.text):
            remarks.add(problem[0], document.lines[problem[0] - 1], problem[1])
            return None
        loader = _Loader(document.text)
        try:
            node = loader.get_single_node()
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, len(document.lines)) if mark else 1
        remarks.add(line, document.lines[line - 1], f"Not YAML: {error.problem or error.context}.")
        return None
    except yaml.reader.ReaderError as error:
        line = document.text.count("\n", 0, error.position) + 1
        remarks.add(line, document.lines[line - 1], "YAML cannot hold one of the characters of this line.")
        return None
    except (ValueError, OverflowError):
        remarks.add(1, "", "The YAML holds a number that cannot be read.")
        return None
    except (yaml.YAMLError, RecursionError) as error:
        remarks.add(1, "", f"Not YAML: {str(error)[:200] or type(error).__name__}.")
        return None
    lines: dict[Path, int] = {}
    if node is not None:
        _index(node, (), lines, document)
    return Located(value, lines)


def _refused(text: str) -> tuple[int, str] | None:
    """The line and the reason when the text holds aliases or is nested too deeply; looks at events, builds nothing."""
    depth = 0
    events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for number, event in enumerate(events, start=1):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if number > _MAX_PARTS:
            return line, f"The YAML has more than {_MAX_PARTS} parts."
        if isinstance(event, yaml.AliasEvent):
            return line, "An alias (*) stands for another part; write the part itself."
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return line, f"The YAML is nested more than {MAX_DEPTH} levels deep."
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _index(node: yaml.Node, path: Path, lines: dict[Path, int], document: Document) -> None:
    """Note the line of each part, and names that stand twice."""
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for position, part in enumerate(node.value):
            _index(part, (*path, position), lines, document)
    elif isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for name, part in node.value:
            if not isinstance(name, yaml.ScalarNode):
                continue
            if name.value in seen:
                reason = f"The name {name.value!r} stands here a second time; the last one counts."
                document.remarks.add(name.start_mark.line + 1, name.value, reason)
            seen.add(name.value)
            _index(part, (*path, name.value), lines, document)
            lines[(*path, name.value)] = name.start_mark.line + 1
