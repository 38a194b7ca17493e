"""Which figures a person is told: none of so few items that it would give away what they have yet to judge blind.

A figure of one item is what was chosen on it. So whoever an open queue can still give something is told no figure of
fewer than FEW items, on pages and by the API alike; everybody else is told everything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from training_app.access import FEW, Person
from training_app.explorer.blindness import keeps_anything
from training_app.numbers.keeping import Numbers

WITHHELD = f"withheld: of fewer than {FEW} items, while some wait for your blind choice"


def told(numbers: Numbers, user: Person) -> Numbers:
    """The figures as this person may read them. At most two queries."""
    if numbers.data is None or not keeps_anything(user):
        return numbers
    if numbers.data["whole"]["judged"] < FEW:
        return replace(numbers, data=None, is_withheld=True)
    data = _without_few(numbers.data)
    data["principles"] = [one for one in data["principles"] if one["judged"] >= FEW]
    data["pairs"] = [one for one in data["pairs"] if one["n"] >= FEW]
    data["calibration"]["bins"] = [one for one in data["calibration"]["bins"] if one["chosen"]["n"] >= FEW]
    return replace(numbers, data=data)


def _without_few(part: Any) -> Any:
    """A copy in which every figure of a few items says nothing but that it does."""
    if isinstance(part, list):
        return [_without_few(one) for one in part]
    if not isinstance(part, dict):
        return part
    if {"value", "interval", "n"} <= part.keys() and 0 < part["n"] < FEW:
        return part | {"value": None, "interval": None, "note": WITHHELD}
    return {name: _without_few(one) for name, one in part.items()}
