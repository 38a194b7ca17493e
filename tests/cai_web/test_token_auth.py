"""A token that is no token is a 401, whatever its bytes are."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/api/runs/", "/api/token/withdraw/", "/api/token/withdraw-all/"])
@pytest.mark.parametrize("token", ["\xff", "\x00", "\xe9" * 64, "abc", "x" * 10_000])
def test_garbage_is_a_401(address: str, token: str) -> None:
    method = "get" if address == "/api/runs/" else "post"
    client = APIClient()
    assert getattr(client, method)(address, HTTP_AUTHORIZATION=f"Token {token}").status_code == 401


def test_a_token_lets_in_until_it_is_withdrawn() -> None:
    _, token = AuthToken.objects.create(User.objects.create_superuser("boss"))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert client.get("/api/runs/").status_code == 200
    assert "knoxApiToken" in client.get("/api/schema/").content.decode()
    assert client.get("/api/schema/?version=%0d%0aX-Evil:1").status_code == 200
    assert client.post("/api/token/withdraw/").status_code == 204
    assert client.get("/api/runs/").status_code == 401
