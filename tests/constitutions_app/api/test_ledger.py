from __future__ import annotations

import hashlib

import pytest
from django.contrib.auth.models import User
from django.test import Client

from constitutions_app.models import (
    Constitution,
)
from tests.constitutions_app.api.calls import get
from tests.constitutions_app.factories import make_constitution

pytestmark = pytest.mark.django_db


def test_the_ledger_pages_and_filters(constitution: Constitution, author: User, client: Client) -> None:
    make_constitution(author, name="Other")
    assert [entry["seq"] for entry in get(client, "/api/ledger/")["results"]] == [4, 3, 2, 1]
    mine = get(client, "/api/ledger/", object_type="constitutions_app.constitution", object_id=constitution.pk)
    assert [entry["seq"] for entry in mine["results"]] == [2, 1]
    assert [entry["seq"] for entry in get(client, "/api/ledger/", verb="version.publish")["results"]] == [4, 2]
    page = get(client, "/api/ledger/", page_size=3)
    assert [entry["seq"] for entry in get(client, page["next"])["results"]] == [1]
    entry = get(client, "/api/ledger/2/")
    assert hashlib.sha256((entry["previous_hash"] + entry["body"]).encode()).hexdigest() == entry["hash"]
    assert len(get(client, "/api/ledger/", actor__password="x", password="y")["results"]) == 4
