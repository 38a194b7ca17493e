"""Signing in and out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client

from cai_web.auth import MISTAKES, one_time_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    cache.clear()
    return User.objects.create_user("ada", password="a long enough secret")


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_one_time_link_shows_a_button_and_only_the_button_signs_in(client: Client, ada: User) -> None:
    path = one_time_path(ada)
    for _ in range(3):  # mail programs and chat previews fetch links before people do
        page = client.get(path)
        assert page.status_code == 200
        assert b"Sign in as ada" in page.content
        assert not signed_in(client)
    answer = client.post("/sign-in/link/", {"sesame": page.context["token"]})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert signed_in(client)


def test_a_link_works_once(client: Client, ada: User) -> None:
    token = client.get(one_time_path(ada)).context["token"]
    client.post("/sign-in/link/", {"sesame": token})
    stranger = Client()
    assert stranger.get("/sign-in/link/", {"sesame": token}).status_code == 410
    assert stranger.post("/sign-in/link/", {"sesame": token}).status_code == 410
    assert not signed_in(stranger)


@pytest.mark.parametrize("token", ["", "x", "AAAAAQz5yqBveIsfF9CtJ2O9", "<script>"])
def test_a_wrong_link_says_so_and_opens_nothing(token: str, client: Client, ada: User) -> None:
    page = client.get("/sign-in/link/", {"sesame": token})
    assert page.status_code == 410
    assert b"does not open" in page.content
    assert b"<script>&" not in page.content
    assert client.post("/sign-in/link/", {"sesame": token}).status_code == 410
    assert not signed_in(client)


def test_a_link_of_somebody_who_was_deactivated_opens_nothing(client: Client, ada: User) -> None:
    path = one_time_path(ada)
    User.objects.update(is_active=False)
    assert client.get(path).status_code == 410


@pytest.mark.parametrize(
    ("wanted", "where"), [("/api/docs/", "/api/docs/"), ("https://evil.example/", "/"), ("//evil.example", "/")]
)
def test_a_link_leads_on_to_pages_of_this_app_only(wanted: str, where: str, client: Client, ada: User) -> None:
    page = client.get(one_time_path(ada, to=wanted))
    answer = client.post("/sign-in/link/", {"sesame": page.context["token"], "next": wanted})
    assert answer["Location"] == where


def test_the_password_works_and_a_wrong_one_does_not(client: Client, ada: User) -> None:
    assert client.post("/sign-in/", {"username": "ada", "password": "wrong"}).status_code == 200
    assert not signed_in(client)
    assert client.post("/sign-in/", {"username": "ada", "password": "a long enough secret"}).status_code == 302
    assert signed_in(client)


def test_guessing_is_stopped_for_that_name_only(client: Client, ada: User) -> None:
    User.objects.create_user("bob", password="another long secret")
    for _ in range(MISTAKES):
        client.post("/sign-in/", {"username": "ada", "password": "wrong"})
    refused = client.post("/sign-in/", {"username": "Ada", "password": "a long enough secret"})
    assert refused.status_code == 429
    assert b"Too many wrong passwords" in refused.content
    assert not signed_in(client)
    client.post("/sign-in/", {"username": "bob", "password": "another long secret"})
    assert signed_in(client)


def test_signing_out_takes_a_post(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert client.get("/sign-out/").status_code == 405
    assert signed_in(client)
    assert b"signed out" in client.post("/sign-out/").content
    assert not signed_in(client)


def test_the_admin_site_uses_the_same_door(client: Client) -> None:
    answer = client.get("/admin/", follow=True)
    assert unquote(answer.redirect_chain[-1][0]) == "/sign-in/?next=/admin/"


def test_forms_without_a_token_are_refused(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/sign-in/link/", {"sesame": "x"}).status_code == 403
    assert client.post("/sign-in/", {"username": "ada", "password": "a long enough secret"}).status_code == 403


def test_somebody_signed_in_without_the_right_is_told_so_instead_of_sent_in_circles() -> None:
    client = Client()
    client.force_login(User.objects.create_user("reader"))
    assert client.get("/admin/", follow=True).status_code == 403
    assert Client().get("/admin/", follow=True).redirect_chain[-1][0] == "/sign-in/?next=%2Fadmin%2F"


def test_the_admin_sites_own_password_page_leads_to_the_one_the_ledger_knows() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    assert client.get("/admin/password_change/").headers["Location"] == "/account/"


@pytest.mark.django_db(transaction=True)
def test_of_several_who_use_a_link_at_the_same_moment_one_gets_in() -> None:
    path = one_time_path(User.objects.create_user("eve"))
    token = parse_qs(urlsplit(path).query)["sesame"][0]
    start = threading.Barrier(4)

    def press(_: int) -> int:
        start.wait()
        try:
            return Client().post(path, {"sesame": token}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as people:
        assert sorted(people.map(press, range(4))) == [302, 410, 410, 410]
