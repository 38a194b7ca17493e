from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, BinaryIO

class Response:
    status: HTTPStatus
    headers: Iterable[tuple[str, str]]
    file: BinaryIO | None

class StaticFile:
    def get_response(self, method: str, request_headers: Mapping[str, Any]) -> Response: ...
