from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app.ledger import record
from constitutions_app.models import Constitution
from tests.constitutions_app.conftest import signed_in

pytestmark = pytest.mark.django_db

URL = "/ledger/"


@pytest.fixture
def client(reader: User) -> Client:
    return signed_in(reader)


@pytest.fixture
def many(author: User) -> User:
    with transaction.atomic():
        for number in range(120):
            record(actor=author, verb="test.even" if number % 2 else "test.odd", obj=author, data={"title": number})
    return author


def seqs(html: str) -> list[int]:
    return [int(part.split("/")[0]) for part in html.split('href="/ledger/')[1:] if part[0].isdigit()]


def link(html: str, rel: str) -> str:
    before = html[: html.index(f'rel="{rel}"')]
    return before[before.rindex('href="') + 6 :].split('"')[0].replace("&amp;", "&")


def test_it_pages_by_position_and_back(many: User, client: Client) -> None:
    first = client.get(URL).content.decode()
    assert seqs(first) == list(range(120, 70, -1))
    second = client.get(URL + link(first, "next")).content.decode()
    assert seqs(second) == list(range(70, 20, -1))
    third = client.get(URL + link(second, "next")).content.decode()
    assert seqs(third) == list(range(20, 0, -1))
    assert 'rel="next"' not in third
    assert seqs(client.get(URL + link(third, "prev")).content.decode()) == list(range(70, 20, -1))
    back = client.get(URL + link(second, "prev")).content.decode()
    assert seqs(back) == list(range(120, 70, -1))
    assert 'rel="prev"' not in back


def test_it_filters_by_object_and_by_what_was_done(many: User, constitution: Constitution, client: Client) -> None:
    about = f"constitutions_app.constitution:{constitution.pk}"
    assert seqs(client.get(URL, {"object": about}).content.decode()) == [122, 121]
    odd = client.get(URL, {"verb": "test.odd"}).content.decode()
    assert all(seq % 2 for seq in seqs(odd))
    assert "verb=test.odd" in link(odd, "next")


@pytest.mark.parametrize(
    "asked",
    [
        {"object": "x"},
        {"object": "auth.user:1' OR 1=1"},
        {"verb": "password__startswith"},
        {"before": "x"},
        {"before": "9" * 40},
        {"after": "-1"},
        {"actor__password": "a"},
    ],
)
def test_senseless_filters_are_ignored(many: User, client: Client, asked: dict[str, str]) -> None:
    assert client.get(URL, asked).status_code == 200


def test_htmx_gets_the_results_alone(many: User, client: Client) -> None:
    response = client.get(URL, headers={"HX-Request": "true"})
    html = response.content.decode()
    assert "<table" in html and "<html" not in html
    assert "HX-Request" in response.headers["Vary"]


def test_its_queries_are_few(many: User, client: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        client.get(URL)
    assert len(queries) <= 6


def test_an_entry_shows_what_was_recorded_and_whether_it_fits(constitution: Constitution, client: Client) -> None:
    html = client.get(reverse("ledger_entry", args=[2])).content.decode()
    assert "published a version" in html
    assert constitution.versions.get().digest in html
    assert 'data-state="verified"' in html
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE constitutions_app_ledgerentry SET body = replace(body, 'First', 'Last') WHERE seq = 2")
        cursor.execute("SET session_replication_role = origin")
    assert "its hash does not fit its body" in client.get(reverse("ledger_entry", args=[2])).content.decode()
