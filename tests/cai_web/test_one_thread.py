"""Under ASGI middleware is called in the page's own thread."""

from __future__ import annotations

from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.utils.deprecation import MiddlewareMixin

from cai_web.static_files import StaticFiles

made: list[Probe] = []


class Probe(MiddlewareMixin):
    """Middleware like Django's own, that can wait and need not."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        made.append(self)


def test_no_middleware_behind_static_files_sends_its_lines_to_a_thread_and_back(settings: Any) -> None:
    made.clear()
    place = settings.MIDDLEWARE.index(f"{StaticFiles.__module__}.{StaticFiles.__name__}") + 1
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:place], f"{__name__}.Probe", *settings.MIDDLEWARE[place:]]
    ASGIHandler()
    assert [probe.async_mode for probe in made] == [False]
