"""Calls of the API, as the tests make them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from tests.constitutions_app.conftest import signed_in

API = "/api/constitutions/test"
NEW_THREAD = {
    "principle": "honesty",
    "field": "text",
    "quote": "uncertain",
    "body": "Why?",
    "replacement": "not certain",
}


def get(client: Client, url: str, **asked: Any) -> Any:
    """What an address answers, which must be 200."""
    response = client.get(url, asked)
    assert response.status_code == 200, response.content
    return response.json()


def send(client: Client, method: str, url: str, body: Any) -> Any:
    """The whole response, whatever it is."""
    return getattr(client, method)(url, json.dumps(body), content_type="application/json")


def post(user: User, path: str, body: object = None, code: int = 201) -> Any:
    """What the constitution's API answers somebody who posts, which must come with `code`."""
    answer = send(signed_in(user), "post", f"{API}/{path}/", body or {})
    assert answer.status_code == code, answer.content
    return answer.json()


def read(user: User, path: str) -> Any:
    """What the constitution's API answers somebody who reads."""
    return get(signed_in(user), f"{API}/{path}/")
