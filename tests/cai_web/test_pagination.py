"""A cursor that is none of ours is a 404, in every list, whatever it says."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db
LISTS = ("runs", "events", "audits", "ledger", "constitutions", "prompt-sets")
POSITIONS = ("abc", "1.5", "9" * 30, "9" * 5000, "\x00", "")


@pytest.mark.parametrize("name", LISTS)
def test_a_cursor_with_a_position_of_another_kind_is_unknown(name: str) -> None:
    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("boss"))
    for position in POSITIONS:
        for query in ({"p": position}, {"p": position, "r": 1}, {"p": position, "o": -1}):
            cursor = base64.b64encode(urlencode(query).encode()).decode()
            assert client.get(f"/api/{name}/", {"cursor": cursor}).status_code in (200, 404), (position, query)
    assert client.get(f"/api/{name}/", {"cursor": "cD1hYmM="}).status_code == 404
