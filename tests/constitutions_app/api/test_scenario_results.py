from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app.access import Role
from constitutions_app.models import (
    Scenario,
    ScenarioResult,
)
from tests.constitutions_app.api.calls import API, send
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import make_person, newest

pytestmark = pytest.mark.django_db


def test_engineers_store_results_and_nobody_else(scenario: Scenario, author: User) -> None:
    body: dict[str, Any] = {
        "constitution_digest": newest(scenario.constitution).digest,
        "judge_digest": "c" * 64,
        "judge_name": "smol",
        "results": [{"scenario": "rude-letter", "principle": "honesty", "p_expected": 0.7}],
    }
    url = f"{API}/scenario-results/"
    assert send(signed_in(author), "post", url, body).status_code == 403
    engineer = signed_in(make_person("eve", Role.ENGINEER))
    assert send(engineer, "post", url, body).json() == {"stored": 1}
    for wrong in ({"scenario": "none"}, {"principle": "privacy"}):
        results = [{**body["results"][0], **wrong}]
        assert send(engineer, "post", url, {**body, "results": results}).status_code == 409
    assert send(engineer, "post", url, {**body, "results": []}).status_code == 400
    assert ScenarioResult.objects.count() == 1
