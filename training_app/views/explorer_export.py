"""What fits a question of the explorer, as a download that begins at once and needs no file."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import Person
from training_app.explorer.exporting import lines
from training_app.explorer.filters import Filters
from training_app.views.sending import let_go

AHEAD = 16
"""Blocks that are read ahead of a slow reader."""


@require_safe
@require_role()
def export(request: AuthenticatedHttpRequest) -> HttpResponse:
    """A JSON line for every item that fits."""
    asked = Filters.from_query(request.GET)
    later = isinstance(request, ASGIRequest)
    pieces = _later(asked, request.user) if later else lines(asked, request.user)
    let_go()  # the lines are read on a connection of their own
    response = StreamingHttpResponse(pieces, content_type="application/x-ndjson")
    response["Content-Disposition"] = f'attachment; filename="{asked.kind}s.jsonl"'
    return response  # type: ignore[return-value]  # a streaming response is one to every caller


async def _later(asked: Filters, user: Person) -> AsyncIterator[bytes]:
    """The blocks where the server is asynchronous: a thread with a connection of its own reads a few ahead."""
    blocks: queue.Queue[bytes | BaseException | None] = queue.Queue(AHEAD)
    gone = threading.Event()
    threading.Thread(target=_read, args=(lines(asked, user), blocks, gone), daemon=True).start()
    try:
        while (block := await asyncio.to_thread(blocks.get)) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block
    finally:
        gone.set()


def _read(pieces: Iterator[bytes], blocks: queue.Queue[bytes | BaseException | None], gone: threading.Event) -> None:
    """Hands blocks on until there are no more, or nobody reads them."""
    try:
        for piece in pieces:
            while not _put(blocks, piece):
                if gone.is_set():
                    return
        _finish(blocks, None, gone)
    except Exception as error:  # told to the reader, whose download breaks off; nothing is swallowed
        _finish(blocks, error, gone)
    finally:
        connection.close()


def _finish(
    blocks: queue.Queue[bytes | BaseException | None], last: BaseException | None, gone: threading.Event
) -> None:
    while not gone.is_set() and not _put(blocks, last):
        pass


def _put(blocks: queue.Queue[bytes | BaseException | None], piece: bytes | BaseException | None) -> bool:
    try:
        blocks.put(piece, timeout=0.5)
    except queue.Full:
        return False
    return True
