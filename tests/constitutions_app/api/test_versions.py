from __future__ import annotations

import hashlib

import pytest
from django.test import Client

from constitutions_app.models import (
    Constitution,
)
from tests.constitutions_app.api.calls import get
from tests.constitutions_app.factories import newest

pytestmark = pytest.mark.django_db


def test_a_version_carries_the_digested_text(constitution: Constitution, client: Client) -> None:
    body = get(client, "/api/constitutions/test/versions/1/")
    assert hashlib.sha256(body["canonical"].encode()).hexdigest() == body["digest"] == newest(constitution).digest
    assert [item["key"] for item in body["principles"]] == ["honesty", "privacy", "kindness"]
    assert body["principles"][1]["wordings"]["critique_request"].startswith("Point out where")
    assert body["parent_number"] is None
    assert get(client, "/api/constitutions/test/versions/1/principles/honesty/") == body["principles"][0]
