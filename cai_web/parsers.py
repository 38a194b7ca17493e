"""What the API takes in: JSON that the app can keep and send back, or a 400 that says why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

DEEPEST = 32
"""Levels of lists and objects: far more than anything here has, far fewer than Python can follow."""


class BoundedJSONParser(JSONParser):
    """JSON in UTF-8, not nested without end, and of whole characters only."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            data = json.loads(stream.read().decode("utf-8"), parse_constant=_refuse_constant)
            json.dumps(data, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ParseError("JSON parse error - half of a surrogate pair is no character") from error
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
        if _is_deeper_than(DEEPEST, data):
            raise ParseError("JSON parse error - nested too deeply")
        return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


def _is_deeper_than(levels: int, data: Any) -> bool:
    level = [data]
    for _ in range(levels):
        inside = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [part for parts in inside for part in parts]
        if not level:
            return False
    return True
