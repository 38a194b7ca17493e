from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from constitutions_app.models import (
    Constitution,
    Scenario,
)
from tests.constitutions_app.actions.test_scenarios import WORDS
from tests.constitutions_app.api.calls import API, send
from tests.constitutions_app.conftest import signed_in

pytestmark = pytest.mark.django_db


def test_scenarios_are_written_read_and_changed(constitution: Constitution, author: User) -> None:
    client = signed_in(author)
    made = send(client, "post", f"{API}/scenarios/", WORDS)
    assert made.status_code == 201 and made.json()["key"] == "rude-letter"
    one = f"{API}/scenarios/rude-letter/"
    changed = send(client, "patch", one, {"note": "Why.", "revision": 0})
    assert changed.json()["revision"] == 1
    assert send(client, "patch", one, {"note": "Else.", "revision": 0}).status_code == 409
    assert send(client, "post", f"{one}retire/", {}).json()["retired_at"]
    assert send(client, "post", f"{one}restore/", {}).json()["retired_at"] is None
    assert client.get(one).json()["note"] == "Why."
    assert [row["key"] for row in client.get(f"{API}/scenarios/").json()["results"]] == ["rude-letter"]
    assert send(client, "post", f"{API}/scenarios/", {"prompt": "x", "expected": "c"}).status_code == 400


def test_readers_change_nothing(scenario: Scenario, reader: User) -> None:
    client = signed_in(reader)
    one = f"{API}/scenarios/rude-letter/"
    asked = [("post", f"{API}/scenarios/"), ("patch", one), ("post", f"{one}retire/"), ("post", f"{one}restore/")]
    assert {send(client, method, url, {"prompt": "x"}).status_code for method, url in asked} == {403}


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/scenarios/",
        f"{API}/scenarios/rude-letter/",
        f"{API}/activity/",
        f"{API}/versions/1/export/json/",
        f"{API}/draft/export/json/",
        "/api/search/?q=x",
    ],
)
def test_strangers_get_nothing(scenario: Scenario, reader: User, stranger: User, path: str) -> None:
    assert signed_in(stranger).get(path).status_code == 403
    assert Client().get(path).status_code == 401
    assert signed_in(reader).get(path).status_code == 200
