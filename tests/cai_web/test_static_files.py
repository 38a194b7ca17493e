"""Static files, as the test client (WSGI) and the real server (ASGI) get them, and when they are collected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.test import AsyncClient, Client, override_settings

from cai_web import collected

FILE = "/static/django_htmx/htmx-2.min.js"


def test_a_file_is_served_whole(client: Client) -> None:
    response = client.get(FILE)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/javascript")
    assert len(response.content) > 10_000
    assert "Access-Control-Allow-Origin" not in response
    assert client.get(FILE, headers={"If-Modified-Since": response["Last-Modified"]}).status_code == 304


def test_the_icon_is_found_where_browsers_look(client: Client) -> None:
    assert client.get("/favicon.ico", follow=True)["Content-Type"] == "image/svg+xml"


async def _ask(path: str) -> tuple[int, bytes]:
    response = await AsyncClient().get(path)
    return response.status_code, response.content


def test_the_asgi_server_gets_the_same_file(client: Client) -> None:
    import asyncio

    assert asyncio.run(_ask(FILE)) == (200, client.get(FILE).content)


@pytest.mark.parametrize("path", ["/static/no-such-file.js", "/static/../manage.py", "/static/%2e%2e/manage.py"])
@pytest.mark.django_db
def test_nothing_else_is_served(path: str, client: Client) -> None:
    assert client.get(path).status_code == 404


def test_files_are_collected_when_they_changed_and_only_then(tmp_path: Path) -> None:
    source, said = tmp_path / "source", list[str]()
    source.mkdir()
    (source / "a.css").write_text("a { color: red }")
    finders = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    with override_settings(STATIC_ROOT=tmp_path / "root", STATICFILES_DIRS=[source], STATICFILES_FINDERS=finders):
        collected.collect_if_changed(said.append)
        collected.collect_if_changed(said.append)
        assert len(said) == 1
        (source / "a.css").write_text("a { color: blue }")
        os.utime(source / "a.css", (1, 1))
        collected.collect_if_changed(said.append)
        assert len(said) == 2
        assert (tmp_path / "root" / "a.css").read_text() == "a { color: blue }"
