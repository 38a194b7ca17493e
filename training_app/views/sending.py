"""Sending a file piece by piece, whichever kind of server asks: neither reads it whole into memory."""

from __future__ import annotations

import asyncio
import os
import re
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import IO

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

BLOCK = 2**16
_FROM = re.compile(r"bytes=(\d{1,18})-")


def send_file(
    request: HttpRequest, file: IO[bytes], name: str, content_type: str = "application/octet-stream"
) -> HttpResponse:
    """An open file as a download called `name`; it is closed with the response."""
    pieces = _PiecesLater(file) if isinstance(request, ASGIRequest) else _Pieces(file)
    let_go()
    response = StreamingHttpResponse(pieces, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response  # type: ignore[return-value]  # a streaming response is one to every caller


def send_known_file(request: HttpRequest, file: IO[bytes], name: str, digest: str) -> HttpResponse:
    """A file whose sha256 is known: a download that broke off goes on where it was (RFC 9110, section 14).

    Only "from this byte to the end" is answered with a part, and only while the file is still the one that was begun.
    """
    size = file.seek(0, os.SEEK_END)
    tag, wanted = f'"{digest}"', _FROM.fullmatch(request.headers.get("Range", ""))
    begin = int(wanted[1]) if wanted and request.headers.get("If-Range", tag) == tag else 0
    if begin and begin >= size:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    file.seek(begin)
    response = send_file(request, file, name)
    response["ETag"], response["Accept-Ranges"], response["Content-Length"] = tag, "bytes", str(size - begin)
    if begin:
        response.status_code = 206
        response["Content-Range"] = f"bytes {begin}-{size - 1}/{size}"
    return response


def let_go() -> None:
    """Close this request's database connection: an answer that takes minutes to send needs none."""
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
