"""Django under ASGI, with every page on one thread from beginning to end.

Django's own handler prefers to wait: behind one asynchronous handler each middleware, each check of a form's token and
the view itself are sent to a thread and back, and each page gets a new thread, with a new database connection. A page
of ours does nothing but compute and ask the database. So the whole chain is called in one go, on a thread that earlier
pages have used, with the connection that they left open. Answers that stream are sent by the event loop, as ever.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase

AT_ONCE = 8
"""Pages that one process computes at a time. Others wait: a crowd must not ask for more connections than there are."""
KEPT = 4
"""Threads, and their connections, that are kept while nobody asks for anything."""


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
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(1, thread_name_prefix="pages")
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)
        finally:
            self._give_back(thread)

    async def run_get_response(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, computed in one go."""
        async with self._room:
            response: HttpResponseBase = await sync_to_async(self.get_response)(request)
        vars(response)["_handler_class"] = self.__class__  # tells the end of the request who sends its signal
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        return response

    def _give_back(self, thread: ThreadPoolExecutor) -> None:
        """Keep the thread for the next page; of more than KEPT the connections are closed and the threads end."""
        if len(self._idle) < KEPT:
            self._idle.append(thread)
        else:
            thread.submit(connections.close_all)
            thread.shutdown(wait=False)
