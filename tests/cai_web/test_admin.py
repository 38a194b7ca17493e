"""API tokens on the admin site: looked at, and made for nobody."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from knox.models import AuthToken

pytestmark = pytest.mark.django_db


def test_tokens_are_listed_and_neither_made_nor_taken_there() -> None:
    boss = User.objects.create_superuser("boss")
    token, _ = AuthToken.objects.create(boss)
    client = Client()
    client.force_login(boss)
    pages = "/admin/knox/authtoken/"
    assert client.get(pages).status_code == 200
    assert client.get(f"{pages}{token.pk}/change/").status_code == 200
    assert client.post(f"{pages}add/", {"user": boss.pk}).status_code == 403
    assert client.post(f"{pages}{token.pk}/delete/", {"post": "yes"}).status_code == 403
    assert AuthToken.objects.count() == 1
