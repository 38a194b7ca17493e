"""Under ASGI a page is computed in one go, on a thread that is kept with its database connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin

from cai_web import one_thread
from cai_web.one_thread import OneThreadHandler

used: list[tuple[str, int, int]] = []
"""Who asked, on which thread, with which database connection."""


def _note(who: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        used.append((who, threading.get_ident(), cursor.fetchone()[0]))


class Probe(MiddlewareMixin):
    """Middleware like Django's own: it could wait, and looks at the view before it is called."""

    def process_request(self, request: HttpRequest) -> None:
        _note("middleware")

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        _note("before the view")


def page(request: HttpRequest) -> HttpResponse:
    _note("view")
    return HttpResponse("page")


async def later(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> Any:
        for piece in (b"one", b"two"):
            await asyncio.sleep(0)
            yield piece

    return StreamingHttpResponse(pieces())


def slow(request: HttpRequest) -> HttpResponse:
    started.append(1)
    assert release.wait(10)
    return HttpResponse("slow")


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    _note("not found")
    return HttpResponse("not found", status=404)


SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
started: list[int] = []
release = threading.Event()
urlpatterns = [path("", page), path("later/", later), path("slow/", slow)]


@pytest.fixture(autouse=True)
def _this_site(settings: Any, transactional_db: None) -> None:
    """The pages of this file alone, behind the probe."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [f"{__name__}.Probe"]
    used.clear()
    started.clear()
    release.clear()


async def _ask(handler: ASGIHandler, address: str = "/", *, leaves: asyncio.Event | None = None) -> bytes:
    """What a reader gets, who may leave before it comes."""
    body: list[bytes] = []
    over = leaves or asyncio.Event()
    messages = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        if (message := next(messages, None)) is None:
            await over.wait()
        return message or {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        body.append(message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            over.set()

    await handler({**SCOPE, "path": address}, receive, send)
    return b"".join(body)


def _close(handler: OneThreadHandler) -> None:
    for thread in handler._idle:
        thread.submit(connections.close_all).result()
        thread.shutdown()


def test_middleware_its_checks_and_the_view_share_a_thread() -> None:
    handler = OneThreadHandler()
    assert asyncio.run(_ask(handler)) == b"page"
    assert [who for who, *_ in used] == ["middleware", "before the view", "view"]
    assert len({thread for _, thread, _ in used}) == 1
    _close(handler)


def test_the_next_page_gets_the_same_thread_and_the_connection_that_is_open(monkeypatch: Any) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 300)
    handler = OneThreadHandler()

    async def three() -> None:
        for _ in range(3):
            await _ask(handler)

    asyncio.run(three())
    assert len({thread for _, thread, _ in used}) == 1
    assert len({backend for *_, backend in used}) == 1
    _close(handler)


def test_the_page_for_what_is_not_there_is_made_on_the_same_thread() -> None:
    handler = OneThreadHandler()
    assert asyncio.run(_ask(handler, "/nowhere/")) == b"not found"
    assert [who for who, *_ in used] == ["middleware", "not found"]
    assert len({thread for _, thread, _ in used}) == 1
    _close(handler)


def test_an_answer_that_streams_is_sent_whole() -> None:
    handler = OneThreadHandler()
    assert asyncio.run(_ask(handler, "/later/")) == b"onetwo"
    _close(handler)


def test_a_crowd_waits_for_room_and_threads_beyond_the_few_that_are_kept_end(monkeypatch: Any) -> None:
    monkeypatch.setattr(one_thread, "AT_ONCE", 2)
    monkeypatch.setattr(one_thread, "KEPT", 1)
    handler = OneThreadHandler()

    async def crowd() -> list[bytes]:
        asked = [asyncio.create_task(_ask(handler, "/slow/")) for _ in range(5)]
        while len(started) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(started) == 2, "the others wait"
        release.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(crowd()) == [b"slow"] * 5
    assert len(handler._idle) == 1
    _close(handler)


def test_a_page_whose_reader_has_left_keeps_its_place_until_it_is_computed(monkeypatch: Any) -> None:
    monkeypatch.setattr(one_thread, "AT_ONCE", 1)
    handler = OneThreadHandler()

    async def one_leaves_and_one_comes() -> bytes:
        leaves = asyncio.Event()
        left = asyncio.create_task(_ask(handler, "/slow/", leaves=leaves))
        while not started:
            await asyncio.sleep(0.01)
        leaves.set()
        came = asyncio.create_task(_ask(handler))
        await asyncio.sleep(0.1)
        assert [who for who, *_ in used] == ["middleware", "before the view"], "there is no room yet"
        release.set()
        await left
        return await came

    assert asyncio.run(one_leaves_and_one_comes()) == b"page"
    _close(handler)


def test_a_body_that_comes_slowly_holds_no_thread() -> None:
    handler = OneThreadHandler()
    asyncio.run(_ask(handler))
    assert len(handler._idle) == 1

    async def slow_body() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            begun.set()
            await go_on.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            pytest.fail("nobody is there")

        asked = asyncio.create_task(handler({**SCOPE, "method": "POST", "path": "/"}, receive, send))
        await begun.wait()
        assert len(handler._idle) == 1
        go_on.set()
        await asked

    asyncio.run(slow_body())
    _close(handler)


def test_what_is_not_http_is_refused() -> None:
    with pytest.raises(ValueError, match="websocket"):
        asyncio.run(OneThreadHandler()({"type": "websocket"}, None, None))
