"""What every answer tells the browser."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import override_settings

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/sign-in/", "/healthz", "/no-such-page/", "/admin/login/"])
def test_nothing_foreign_inline_or_evaluated_is_allowed(path: str, client: Client) -> None:
    response = client.get(path)
    policy = response["Content-Security-Policy"]
    assert "unsafe-" not in policy
    assert "*" not in policy
    assert "http" not in policy
    for directive in (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
    ):
        assert directive in policy
    assert "frame-ancestors 'none'" in policy
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"


def test_pages_carry_no_inline_script_or_style(client: Client) -> None:
    content = client.get("/sign-in/").content.decode()
    assert "<script>" not in content
    assert " style=" not in content
    assert " onclick=" not in content


@override_settings(SECURE_SSL_REDIRECT=True)
def test_http_is_sent_to_https_where_that_is_spoken(client: Client) -> None:
    assert client.get("/sign-in/")["Location"].startswith("https://")


def test_cookies_are_closed_to_scripts_and_other_sites(client: Client) -> None:
    User.objects.create_user("ada", password="a long enough secret")
    client.post("/sign-in/", {"username": "ada", "password": "a long enough secret"})
    cookie = client.cookies["cai_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_what_a_signed_in_person_sees_is_kept_by_no_cache(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    for path in ("/constitutions/", "/account/", "/no-such-page/"):
        assert client.get(path)["Cache-Control"] == "private, no-store", path


def test_the_api_pages_load_only_from_here(client: Client) -> None:
    client.force_login(User.objects.create_user("ada"))
    content = client.get("/api/docs/").content.decode()
    assert "<style" not in content
    assert "https://" not in content
    assert "swagger-ui-bundle.js" in content


def test_the_api_is_closed_to_strangers_and_open_with_a_token(client: Client) -> None:
    assert client.get("/api/schema/").status_code == 401
    assert client.post("/api/token/").status_code == 401
    client.force_login(User.objects.create_user("ada"))
    token = client.post("/api/token/").json()["token"]
    program = Client(headers={"Authorization": f"Token {token}"})
    assert program.get("/api/schema/").status_code == 200
    assert program.post("/api/token/withdraw/").status_code == 204
    assert program.get("/api/schema/").status_code == 401
