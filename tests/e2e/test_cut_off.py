"""A connection that breaks in the middle of a save, seen from the server: half of a save is no save."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse

from constitutions_app.models import Constitution, LedgerEntry
from tests.constitutions_app.factories import principle_of
from tests.e2e.conftest import Site
from tests.signing_in import session_of

TOKEN = "t" * 32


@pytest.mark.parametrize("whole", [False, True], ids=["cut off", "whole"])
def test_half_of_a_save_is_no_save(site: Site, author: User, constitution: Constitution, whole: bool) -> None:
    row = principle_of(constitution, "privacy")
    body = f"csrfmiddlewaretoken={TOKEN}&changed=text&revision={row.revision}&text=Half+of+the+words+and+the+rest."
    before = LedgerEntry.objects.count()
    sent = body if whole else body[:-9]
    answer = _post(site, author, reverse("constitutions:draft_principle", args=["test", "privacy"]), body, sent)
    assert (b" 200 " in answer.split(b"\r\n", 1)[0]) is whole, answer
    assert (principle_of(constitution, "privacy").text == "Half of the words and the rest.") is whole
    assert LedgerEntry.objects.count() == before + whole


def _post(site: Site, user: User, path: str, body: str, sent: str) -> bytes:
    """What the server answers to a save of which only `sent` arrives before the line breaks."""
    session = session_of(user)
    at = urlsplit(site.address)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {at.netloc}\r\nOrigin: {site.address}\r\nX-Autosave: 1\r\n"
        f"Cookie: {settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={TOKEN}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((str(at.hostname), int(at.port or 80)), timeout=10) as line:
        line.sendall((head + sent).encode())
        if sent != body:
            line.shutdown(socket.SHUT_WR)
        answer = b""
        while part := line.recv(65536):
            answer += part
    return answer
