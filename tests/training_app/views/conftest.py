"""Who looks at the pages: an engineer, an auditor, a reader, and a stranger without any role."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from constitutions_app.access import Role
from tests.signing_in import signed_in
from tests.training_app import factories
from tests.training_app.factories import FinishedRun

__all__ = ["signed_in"]  # where most tests ask for it

Queries = Callable[[Client, str], int]


def somebody(username: str, role: Role | None, name: str) -> User:
    user = factories.person(username, name=name)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


@pytest.fixture(autouse=True)
def own_artifacts(tmp_path: Path, settings: LazySettings) -> None:
    """Checkpoint folders and logs go to a folder of the test's own."""
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    settings.MODELS_ROOT = tmp_path / "models"


@pytest.fixture
def ada(db: None) -> User:
    return somebody("ada", Role.ENGINEER, "Ada Osei")


@pytest.fixture
def jonas(db: None) -> User:
    return somebody("jonas", Role.AUDITOR, "Jonas Weber")


@pytest.fixture
def rita(db: None) -> User:
    return somebody("rita", Role.READER, "Rita Lindqvist")


@pytest.fixture
def engineer(ada: User) -> Client:
    return signed_in(ada)


@pytest.fixture
def auditor(jonas: User) -> Client:
    return signed_in(jonas)


@pytest.fixture
def reader(rita: User) -> Client:
    return signed_in(rita)


@pytest.fixture
def stranger(db: None) -> Client:
    return signed_in(somebody("sam", None, "Sam Stranger"))


@pytest.fixture
def nobody(db: None) -> Client:
    return Client()


@pytest.fixture
def finished(ada: User) -> FinishedRun:
    return factories.finished_run(ada)


@pytest.fixture
def queries() -> Queries:
    """How many queries a page takes."""

    def count(client: Client, url: str) -> int:
        client.get(url)  # once before, so that what is read once per process is read
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        return len(captured)

    return count


@pytest.fixture
def without_queue(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wake-ups are written down instead of sent: pages are tested without a broker."""
    rung: list[str] = []

    def wake(run_id: object) -> bool:
        rung.append(str(run_id))
        return True

    monkeypatch.setattr("training_app.tasks.wake", wake)
    return rung
