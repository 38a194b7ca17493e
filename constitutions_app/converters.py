"""The parts of an address that Django has no converter for."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import get_converters


class StateConverter:
    """One state of a constitution in an address: "v3", "draft", "draft@branch"; "slug:v3" of another constitution."""

    regex = r"(?:[-a-zA-Z0-9_]+:)?(?:v[1-9][0-9]{0,8}|draft(?:@[-a-z0-9_]+)?)"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class PlaceConverter(StateConverter):
    """A draft in an address: its constitution's slug, with "@branch" behind it unless that is the main one."""

    regex = r"[-a-zA-Z0-9_]+(?:@[-a-z0-9_]+)?"


class NumberConverter:
    """A version's number, from 1, never larger than the column that holds it."""

    regex = r"[1-9][0-9]{0,8}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


def register() -> None:
    """Make them known to `path`; pages and API each ask for it, whichever is loaded first."""
    for name, converter in (("state", StateConverter), ("place", PlaceConverter), ("number", NumberConverter)):
        if name not in get_converters():
            register_converter(converter, name)
