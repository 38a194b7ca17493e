"""What is no JSON that the app could keep and send back is refused before anything looks into it."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db


def sent(body: bytes) -> Any:
    cache.clear()
    client: Any = APIClient()  # The stubs want text, though the client takes bytes, and some of these are no text.
    client.force_authenticate(User.objects.create_superuser("boss"))
    return client.generic("POST", "/api/runs/", body, content_type="application/json")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"[" * 900 + b"]" * 900,
        b'{"overrides": {"rl": ' + b"[" * 40 + b"]" * 40 + b"}}",
        b'{"preset": "\\ud800"}',
        b'{"overrides": {"\\udfff": 1}}',
        b'{"seed": NaN}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"\xff",
        b"{",
    ],
    ids=range(10),
)
def test_json_that_nobody_can_keep_is_a_400_with_a_reason(body: bytes) -> None:
    answer = sent(body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("JSON parse error")


def test_a_body_larger_than_a_form_may_be_is_refused(settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert sent(b'"' + b"x" * 1000 + b'"').status_code == 400


def test_plain_json_is_read() -> None:
    answer = sent('{"version": 1, "name": "\N{PANDA FACE}", "overrides": {"rl": {"steps": 2}}}'.encode())
    assert answer.status_code == 400
    assert set(answer.json()) == {"base_model", "prompt_sets", "preset"}
