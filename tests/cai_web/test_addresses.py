"""A NUL in an address is a 400, wherever the address leads."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from cai_web.addresses import without_nul

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


def test_it_stands_in_front_of_views_that_answer_later_too() -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("read")

    ask = async_to_sync(without_nul(view))
    assert ask(RequestFactory().get("/runs/?state=%00")).status_code == 400
    assert ask(RequestFactory().get("/runs/?state=0")).content == b"read"
