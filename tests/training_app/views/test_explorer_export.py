"""The download of the explorer that begins at once, where the server is asynchronous."""

from __future__ import annotations

import asyncio
import json
import queue
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from tests.training_app import factories
from training_app.explorer.filters import Filters
from training_app.views import explorer_export

TOLD_BY_TABLES = ("constitution", "key", "checkpoint", "imported", "stale", "like")
"""Filters that ask the database before the rows are read."""


@pytest.mark.django_db(transaction=True)
def test_filters_that_ask_the_database_are_asked_outside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)
    made = factories.finished_run(User.objects.create_superuser("root"))
    label = made.labels[0]
    values = {"constitution": made.run.version.constitution.slug, "key": factories.cited(label).key,
              "checkpoint": str(made.rl.pk), "imported": "yes", "stale": "current", "like": str(label.pk)}  # fmt: skip
    client = AsyncClient()
    client.force_login(made.run.created_by)

    async def labels(name: str) -> list[int]:
        response: Any = await client.get("/audit/explore/export/", {name: values[name]})
        assert response.status_code == 200
        text = b"".join([piece async for piece in response.streaming_content])
        return sorted(json.loads(line)["label"] for line in text.splitlines())

    async def scene() -> dict[str, list[int]]:
        return {name: await labels(name) for name in TOLD_BY_TABLES}

    found = asyncio.run(scene())
    every = sorted(one.pk for one in made.labels)
    assert found["constitution"] == found["checkpoint"] == found["stale"] == every
    assert label.pk in found["key"]
    assert found["imported"] == []
    assert set(found["like"]) <= set(every)


def test_whoever_waits_for_a_block_is_told_of_the_end_though_the_reader_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(explorer_export, "lines", lambda asked, user: iter(()))
    blocks: explorer_export.Blocks = queue.Queue()
    gone = Event()
    gone.set()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(explorer_export._read, Filters(), User(), blocks, gone).result(10)
    assert blocks.get_nowait() is None
