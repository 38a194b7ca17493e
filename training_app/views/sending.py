"""Sending a file piece by piece, whichever kind of server asks: neither reads it whole into memory."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import IO

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

BLOCK = 2**16


def send_file(
    request: HttpRequest, file: IO[bytes], name: str, content_type: str = "application/octet-stream"
) -> HttpResponse:
    """An open file as a download called `name`; it is closed with the response."""
    pieces = _PiecesLater(file) if isinstance(request, ASGIRequest) else _Pieces(file)
    let_go()
    response = StreamingHttpResponse(pieces, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response  # type: ignore[return-value]  # a streaming response is one to every caller


def let_go() -> None:
    """Give this request's database connection back: an answer that takes minutes to send needs none of the pool's."""
    if not connection.in_atomic_block:
        connection.close()


class _Pieces:
    """The file piece by piece; Django closes it with the response, sent whole or not."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        weakref.finalize(self, file.close)  # an answer that nobody reads is closed too

    def __iter__(self) -> Iterator[bytes]:
        while block := self.file.read(BLOCK):
            yield block

    def close(self) -> None:
        self.file.close()


class _PiecesLater:
    """The same where the server is asynchronous: Django would else read the whole file into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        weakref.finalize(self, file.close)  # an answer that nobody reads is closed too

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while block := await asyncio.to_thread(self.file.read, BLOCK):
            yield block

    def close(self) -> None:
        self.file.close()
