"""Downloads of what a run's judge and critic said. The file is written aside first, then sent piece by piece."""

from __future__ import annotations

import asyncio
import tempfile
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import get_run_for
from training_app.exports import ENDINGS, FORMATS, write_export

BLOCK = 2**16


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def export_feedback(request: AuthenticatedHttpRequest, run_id: UUID, what: str, form: str) -> HttpResponse:
    """The labels or the traces of a run as one file."""
    run = get_run_for(request.user, run_id)
    if form not in FORMATS.get(what, ()):
        raise Http404("There is no such export.")
    file = tempfile.NamedTemporaryFile(prefix="export-")  # noqa: SIM115  # closed with the response
    write_export(run, what, form, Path(file.name))
    pieces = _PiecesLater(file) if isinstance(request, ASGIRequest) else _Pieces(file)
    response = StreamingHttpResponse(pieces, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="run-{run.number}-{what}.{ENDINGS[form]}"'
    return response  # type: ignore[return-value]  # a streaming response is one to every caller


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
