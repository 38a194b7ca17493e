"""Our own format, as data: what JSON and YAML files share. Reading is lenient: one bad principle costs only itself.

The fields are those of `core/principles.py`. `slug` and `constitution` (addresses in the app) are read over, and a list
of scenarios may stand beside the principles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from constitutions_app.core import principles as core
from constitutions_app.core import scenarios
from constitutions_app.core.interchange.imported import Found, Remarks

LineOf = Callable[..., int]
"""Gives the line of a part of the data by its path, such as ("principles", 3)."""

_READ_OVER = {"schema", "slug", "constitution"}
_LISTS = ("principles", "exemplars", "scenarios")
_KNOWN = _READ_OVER | {"name", "preamble", *_LISTS}

T = TypeVar("T")


def as_data(constitution: core.Constitution) -> dict[str, Any]:
    """The constitution as normalised plain values, in reading order, with every field of every principle."""
    body = core.from_json(core.canonical_json(constitution))
    return {"schema": core.SCHEMA, **asdict(body)}


def read_data(data: object, line_of: LineOf, remarks: Remarks) -> Found:
    """What a parsed file in our own format says. Everything that is not understood goes into `remarks`."""
    if not isinstance(data, Mapping):
        remarks.add(1, data, f"A constitution is a mapping of names to values, not {_kind(data)}.")
        return Found()
    if data.get("schema", core.SCHEMA) != core.SCHEMA:
        remarks.add(line_of("schema"), data["schema"], f"This program reads schema {core.SCHEMA} only.")
        return Found()
    for name in data:
        if name not in _KNOWN:
            remarks.add(line_of(name), name, f"A constitution has no field {str(name)!r}.")
    return Found(
        name=_text(data, "name", line_of, remarks),
        preamble=_text(data, "preamble", line_of, remarks),
        principles=tuple(_unique(_each(data, "principles", read_principle, line_of, remarks), remarks)),
        exemplars=tuple(found for found, _ in _each(data, "exemplars", _read_exemplar, line_of, remarks)),
        scenarios=tuple(_unique(_each(data, "scenarios", scenarios.from_dict, line_of, remarks), remarks)),
    )


def read_principle(item: object, where: str) -> core.Principle:
    """One principle. Raises MalformedConstitution with the part and the reason."""
    return _read_alone("principles", item, where).principles[0]


def _read_exemplar(item: object, where: str) -> core.Exemplar:
    return _read_alone("exemplars", item, where).exemplars[0]


def _read_alone(part: str, item: object, where: str) -> core.Constitution:
    """Read one item as the only one of a constitution, so that its mistakes are its own."""
    try:
        return core.from_dict({"name": "-", part: [item]})
    except core.MalformedConstitution as error:
        told = str(error)
        for singular in ("Principle 1", "Exemplar 1"):
            told = told.replace(singular, where, 1) if told.startswith(singular) else told
        raise core.MalformedConstitution(told) from error


def _each(
    data: Mapping[Any, Any], name: str, read: Callable[[object, str], T], line_of: LineOf, remarks: Remarks
) -> Iterator[tuple[T, int]]:
    """Every readable item of a list with its line; the others go into the remarks."""
    items = data.get(name)
    if items is None:
        return
    if not isinstance(items, list | tuple):
        remarks.add(line_of(name), items, f"{name} should be a list, not {_kind(items)}.")
        return
    for index, item in enumerate(items):
        line = line_of(name, index)
        try:
            yield read(item, f"{name[:-1].capitalize()} {index + 1}"), line
        except (core.MalformedConstitution, scenarios.MalformedScenario) as error:
            remarks.add(line, _excerpt(item), str(error))


P = TypeVar("P", core.Principle, scenarios.Scenario)


def _unique(found: Iterator[tuple[P, int]], remarks: Remarks) -> Iterator[P]:
    seen: set[str] = set()
    for item, line in found:
        if item.id in seen:
            remarks.add(line, item.id, f"The id {item.id!r} stands here a second time; ids must be unique.")
            continue
        seen.add(item.id)
        yield item


def _text(data: Mapping[Any, Any], name: str, line_of: LineOf, remarks: Remarks) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        remarks.add(line_of(name), value, f"{name} should be text, not {_kind(value)}.")
        return ""
    return core.normalise(value)


def _excerpt(item: object) -> str:
    if isinstance(item, Mapping):
        for name in ("id", "title", "text", "prompt"):
            if isinstance(item.get(name), str) and item[name]:
                return str(item[name])
    return repr(item)[:200]


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "nothing" if value is None else f"a value of type {type(value).__name__}")
