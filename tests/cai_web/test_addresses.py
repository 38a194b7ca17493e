"""A NUL in an address is a 400, wherever the address leads."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

pytestmark = pytest.mark.django_db
ADDRESSES = [
    "/admin/constitutions_app/ledgerentry/?verb=%00", "/api/constitutions/%00/", "/api/constitutions/a%00b/",
    "/runs/new/?preset=%00", "/ledger/?object=%00", "/nowhere/%00",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_nul_is_refused(address: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    assert client.get(address).status_code == 400
    assert Client().get(address).status_code == 400


def test_people_are_shown_the_page_that_says_so_and_programs_a_line() -> None:
    page = Client().get("/search/?q=%00").content.decode()
    assert "This request could not be read" in page and "Go to the start" in page
    assert Client().get("/api/labels/?run=%00")["Content-Type"] == "text/plain"


def test_the_asgi_server_refuses_it_in_front_of_views_that_answer_later_too() -> None:
    ask = async_to_sync(AsyncClient().get)
    assert ask("/runs/00000000-0000-0000-0000-000000000000/events/?after=%00").status_code == 400
    assert ask("/healthz").status_code == 200
