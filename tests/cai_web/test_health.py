"""The health page."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import Client
from kombu.exceptions import OperationalError as BrokerError


@pytest.mark.django_db
def test_it_says_that_database_and_broker_answer(client: Client) -> None:
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "broker": "ok"}


@pytest.mark.django_db
def test_it_names_what_does_not_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise BrokerError("connection refused by secret-host.example")

    monkeypatch.setattr("kombu.Connection.ensure_connection", refuse)
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": "ok", "broker": "unreachable"}
    assert b"secret-host" not in response.content


def test_it_survives_a_database_that_is_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OperationalError("no")

    monkeypatch.setattr("django.db.connection.cursor", refuse)
    assert client.get("/healthz").json()["database"] == "unreachable"
    assert client.post("/healthz").status_code == 405
