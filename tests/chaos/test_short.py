"""The short form of `make chaos`: a few kills of everything but PostgreSQL, which other tests are using.

In place of a killed server its sessions are ended under the workers' hands; Redis is one of the test's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from cai_web.services.redis import Redis
from tests.base import program_environment
from tests.chaos.harness import Chaos

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(500)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    sockets = tmp_path / "run"
    sockets.mkdir(mode=0o700)
    server = Redis(tmp_path / "redis", sockets, tmp_path / "redis.log")
    server.start()
    yield server
    server.stop()


def end_sessions() -> None:
    """What the workers and their sweeper notice of a PostgreSQL that was killed: their sessions are gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_after_kills_at_random_moments_every_run_is_whole(
    tmp_path: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    address = f"redis+socket://{redis.socket}?virtual_host=0"

    def revive() -> None:
        if redis.pid() is None:
            redis.start()

    def servers() -> dict[str, int]:
        pid = redis.pid()
        return {"Redis": pid} if pid and redis.answering() else {}

    chaos = Chaos(
        tmp_path, program_environment(CELERY_BROKER_URL=address), servers, revive, workers=1, pause=0.03, seed=11
    )
    monkeypatch.setattr("training_app.tasks.wake", lambda run_id: False)  # this process rings nowhere: the sweeper does
    try:
        chaos.start()
        for kind in ("stage", "redis", "everything"):
            chaos.keep_busy(1)
            chaos.kill(kind)
            end_sessions()
        chaos.finish()
        story = chaos.check()
    finally:
        chaos.stop()
    assert story.problems == []
    assert len(story.kills) == 3 and story.records > 0
    assert story.restart(1.0) < 60
