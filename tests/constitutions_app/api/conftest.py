from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from constitutions_app.actions import create_scenario
from constitutions_app.models import Constitution, Scenario
from tests.constitutions_app.actions.test_scenarios import WORDS
from tests.constitutions_app.api.calls import NEW_THREAD, post
from tests.constitutions_app.conftest import signed_in


@pytest.fixture
def client(reader: User) -> Client:
    return signed_in(reader)


@pytest.fixture
def scenario(constitution: Constitution, author: User) -> Scenario:
    return create_scenario(user=author, constitution=constitution, **WORDS)


@pytest.fixture
def thread(constitution: Constitution, reviewer: User) -> dict[str, object]:
    """As the API answered when it was opened."""
    opened: dict[str, object] = post(reviewer, "threads", NEW_THREAD)
    return opened
