"""Scenarios as plain frozen values: a principle's test. A prompt, two responses, and the one expected to win.

What is left out: running a scenario (that needs a judge and lives on the training side) and storing its results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from constitutions_app.core.principles import digest_of_text, normalise

EXPECTED = ("", "a", "b")
"""Which response should win; empty where nobody has said so yet, or where responses are still missing."""


class MalformedScenario(ValueError):
    """The given data is not a scenario; the message says which part and why, in one sentence."""


@dataclass(frozen=True)
class Scenario:
    """A test of the principles named in `principles` (their stable ids).

    A probe prompt, as some formats carry, is a scenario whose responses are empty and whose `expected` is empty.
    """

    id: str
    title: str
    principles: tuple[str, ...]
    prompt: str
    response_a: str = ""
    response_b: str = ""
    expected: str = ""
    note: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether a judge can be asked: both responses are there and one is expected to win."""
        return bool(self.prompt and self.response_a and self.response_b and self.expected)


def digest(scenario: Scenario) -> str:
    """sha256 (64 hexadecimal digits) of what a judge is asked; id, title and note are for people and do not count."""
    asked = {name: value for name, value in asdict(scenario).items() if name not in ("id", "title", "note")}
    return digest_of_text(json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def from_dict(data: object, where: str = "The scenario") -> Scenario:
    """Build a scenario from parsed JSON or YAML. Raises MalformedScenario with the part and the reason."""
    if not isinstance(data, Mapping):
        raise MalformedScenario(f"{where} should be a mapping of names to values, not {type(data).__name__}.")
    known = {part.name for part in fields(Scenario)}
    if unknown := sorted(str(name) for name in data if name not in known):
        raise MalformedScenario(f"{where} has the unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}.")
    texts = {name: _text(data, name, where) for name in known - {"principles"}}
    for name in ("id", "prompt"):
        if not texts[name]:
            raise MalformedScenario(f"{where}: {name} is missing.")
    if texts["expected"] not in EXPECTED:
        raise MalformedScenario(f"{where}: expected should be a, b or empty, not {texts['expected']!r}.")
    return Scenario(principles=_principles(data, where), **texts)


def read_scenarios(path: Path) -> tuple[Scenario, ...]:
    """The scenarios of a YAML file such as the starter's. Raises MalformedScenario; ids must be unique."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    items = data.get("scenarios") if isinstance(data, Mapping) else None
    if not isinstance(items, list):
        raise MalformedScenario(f"{path.name} should be a mapping with a list named scenarios.")
    scenarios = tuple(from_dict(item, f"Scenario {position}") for position, item in enumerate(items, start=1))
    seen: set[str] = set()
    for scenario in scenarios:
        if scenario.id in seen:
            raise MalformedScenario(f"Two scenarios have the id {scenario.id!r}; ids must be unique.")
        seen.add(scenario.id)
    return scenarios


def _text(data: Mapping[str, Any], name: str, where: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedScenario(f"{where}: {name} should be text, not {type(value).__name__}.")
    return normalise(value)


def _principles(data: Mapping[str, Any], where: str) -> tuple[str, ...]:
    values = data.get("principles") or []
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise MalformedScenario(f"{where}: principles should be a list of principle ids.")
    return tuple(clean for value in values if (clean := normalise(value)))
