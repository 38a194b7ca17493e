"""What fits a question of the explorer, as a download that begins at once and needs no file."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator

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
Blocks = queue.Queue[bytes | BaseException | None]
"""What is read, then None or what went wrong."""


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
    blocks: Blocks = queue.Queue(AHEAD)
    gone = threading.Event()
    threading.Thread(target=_read, args=(asked, user, blocks, gone), daemon=True).start()
    try:
        while (block := await asyncio.to_thread(blocks.get)) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block
    finally:
        gone.set()


def _read(asked: Filters, user: Person, blocks: Blocks, gone: threading.Event) -> None:
    """Hands blocks on until there are no more, or nobody reads them. Asks the database, so never in the event loop."""
    try:
        for piece in lines(asked, user):
            while not _put(blocks, piece):
                if gone.is_set():
                    return
        _finish(blocks, None, gone)
    except Exception as error:  # told to the reader, whose download breaks off; nothing is swallowed
        _finish(blocks, error, gone)
    finally:
        connection.close()


def _finish(blocks: Blocks, last: BaseException | None, gone: threading.Event) -> None:
    """Tried once though the reader has gone: the thread that waited for them may still wait for a block."""
    while not _put(blocks, last) and not gone.is_set():
        pass


def _put(blocks: Blocks, piece: bytes | BaseException | None) -> bool:
    try:
        blocks.put(piece, timeout=0.5)
    except queue.Full:
        return False
    return True
