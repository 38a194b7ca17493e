"""Django under ASGI, with every page on one thread from beginning to end.

Django's own handler prefers to wait: behind one asynchronous handler each middleware, each check of a form's token and
the view itself are sent to a thread and back, and each page gets a new thread, with a new database connection. A page
of ours does nothing but compute and ask the database. So the whole chain is called in one go, on a thread that earlier
pages have used, with the connection that they left open. Answers that stream are sent by the event loop, as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from typing import IO, Any, ParamSpec, TypeVar

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.core.signals import request_started
from django.db import connections
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 8
"""Pages that one process computes at a time. Others wait, so that a crowd does not ask for more connections than there
are; a page whose reader has left keeps its place until it is computed."""
KEPT = 4
"""Threads, and their connections, that are kept while nobody asks for anything."""

log = logging.getLogger(__name__)


def get_application() -> OneThreadHandler:
    """The ASGI application, with Django set up."""
    django.setup(set_prefix=False)
    return OneThreadHandler()


class OneThreadHandler(ASGIHandler):
    """Answers each request on one thread, of which some are kept."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)  # ASGIHandler would load the middleware in its waiting form
        self.load_middleware(is_async=False)
        self._idle: list[ThreadPoolExecutor] = []
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """An ASGI application. Raises ValueError for what is not HTTP."""
        if scope["type"] != "http":
            raise ValueError(f"Only HTTP is served here, not {scope['type']}.")
        thread = _Thread(self._take)
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)
        finally:
            if thread.taken:
                self._give_back(thread.taken)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; a reader who leaves ends a stream, and the wait of a page that is not begun."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        answer = asyncio.ensure_future(self._answer(scope, body, send))
        left = asyncio.ensure_future(self.listen_for_disconnect(receive))
        await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
        for task in (left, answer):
            if not task.done():
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RequestAborted):
                await task

    async def _answer(self, scope: Any, body: IO[bytes], send: Any) -> None:
        try:
            await self._room.acquire()
        except asyncio.CancelledError:
            body.close()
            raise
        computed = asyncio.ensure_future(sync_to_async(self._compute)(scope, body))
        computed.add_done_callback(self._computed)
        response: HttpResponseBase = await asyncio.shield(computed)
        try:
            await self.send_response(response, send)
        finally:
            if response.streaming:
                await asyncio.shield(sync_to_async(response.close)())

    def _compute(self, scope: Any, body: IO[bytes]) -> Any:
        """The answer, from the signal that a request begins to the one that it has ended, but for a stream's end."""
        with closing(body):
            set_script_prefix(get_script_prefix(scope))
            request_started.send(sender=self.__class__, scope=scope)
            request, refused = self.create_request(scope, body)
            response: Any = refused if request is None else self.get_response(request)
        vars(response)["_handler_class"] = self.__class__  # tells the end of the request who sends its signal
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if not response.streaming:
            response.close()
        return response

    def _computed(self, page: asyncio.Future[HttpResponseBase]) -> None:
        """Room for the next page; what went wrong with one that nobody waits for any more is told."""
        self._room.release()
        if not page.cancelled() and (error := page.exception()):
            log.error("A page could not be computed.", exc_info=error)

    def _take(self) -> ThreadPoolExecutor:
        return self._idle.pop() if self._idle else ThreadPoolExecutor(1, thread_name_prefix="pages")

    def _give_back(self, thread: ThreadPoolExecutor) -> None:
        """Keep the thread for the next page; of more than KEPT the connections are closed and the threads end."""
        if len(self._idle) < KEPT:
            self._idle.append(thread)
        else:
            thread.submit(connections.close_all)
            thread.shutdown(wait=False)


class _Thread(Executor):
    """A thread that is taken when there is something to do on it: a slow body, which comes first, holds none."""

    def __init__(self, take: Callable[[], ThreadPoolExecutor]) -> None:
        self.take = take
        self.taken: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        self.taken = self.taken or self.take()
        return self.taken.submit(work, *args, **kwargs)
