from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from constitutions_app.models import (
    Scenario,
)
from tests.constitutions_app.api.calls import API
from tests.constitutions_app.conftest import signed_in

pytestmark = pytest.mark.django_db


def test_search_and_activity(scenario: Scenario, reader: User) -> None:
    client = signed_in(reader)
    hit = client.get("/api/search/?q=letters&where=scenarios").json()[0]
    assert hit["title"] == "Rude letter" and {"text": "letter", "found": True} in hit["parts"]
    assert client.get("/api/search/?q=x&constitution=none").status_code == 404
    verbs = [entry["verb"] for entry in client.get(f"{API}/activity/").json()["results"]]
    assert verbs == ["scenario.create", "version.publish", "constitution.create"]
