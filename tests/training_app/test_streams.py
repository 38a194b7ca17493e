from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone

from tests.training_app import factories
from training_app.models import Run, RunEvent
from training_app.streams import Hub, Listener, Look, Message, StageMark, encode, look_at_database

RUN = uuid.uuid4()
SFT = StageMark("sft", "running", 40)


class Database:
    """Stands in for the database: what the hub sees next, and how often and from where it looked."""

    def __init__(self, **first: Look) -> None:
        self.look = Look("running", (SFT,))
        self.asked: list[dict[UUID, int]] = []
        self.threads: set[str] = set()
        self.broken = False

    def __call__(self, cursors: Mapping[UUID, int]) -> dict[UUID, Look]:
        self.asked.append(dict(cursors))
        self.threads.add(threading.current_thread().name)
        if self.broken:
            raise OSError("the database restarts")
        return dict.fromkeys(cursors, self.look)


async def gather(stream: AsyncIterator[str | bytes], parts: int) -> str:
    """The next parts of a stream, as one text."""
    return "".join([text_of(await asyncio.wait_for(anext(stream), 5)) for _ in range(parts)])


def text_of(part: str | bytes) -> str:
    return part.decode() if isinstance(part, bytes) else part


async def leave(*streams: AsyncGenerator[str, None]) -> None:
    for stream in streams:
        await stream.aclose()


def test_a_listener_hears_of_events_behind_the_last_one_it_knows() -> None:
    async def scene() -> None:
        listener = Listener(RUN, after=5)
        listener.offer(Look("running", (SFT,), (Message("log", "sft", 4), Message("log", "sft", 6))))
        assert await listener.take(0.01) == (Message("state"), Message("log", "sft", 6))
        assert listener.after == 6
        listener.offer(Look("running", (SFT,), (Message("log", "sft", 6),)))
        assert await listener.take(0.01) == ()

    asyncio.run(scene())


def test_messages_are_merged_until_they_are_taken() -> None:
    async def scene() -> None:
        listener = Listener(RUN, after=0)
        for number in range(1, 1001):
            listener.offer(Look("running", (SFT,), (Message("metric", "sft", number),)))
        assert await listener.take(0.01) == (Message("state"), Message("metric", "sft", 1000))

    asyncio.run(scene())


def test_a_changed_mark_is_progress_or_a_new_state_of_the_stage() -> None:
    async def scene() -> None:
        listener = Listener(RUN, after=0)
        listener.offer(Look("running", (SFT,)))
        await listener.take(0.01)
        listener.offer(Look("running", (StageMark("sft", "running", 41),)))
        assert await listener.take(0.01) == (Message("progress", "sft"),)
        listener.offer(Look("running", (StageMark("sft", "succeeded", 42),)))
        assert await listener.take(0.01) == (Message("stage", "sft"),)

    asyncio.run(scene())


def test_the_end_comes_last_and_ends_the_stream() -> None:
    async def scene() -> str:
        database = Database()
        database.look = Look("succeeded", (SFT,), (Message("finished", "evaluate", 9),))
        return "".join([part async for part in Hub(database, every=0.01).listen(RUN, 0)])

    text = asyncio.run(scene())
    assert text.startswith("retry: 2000\n\n")
    assert text.index('"finished"') < text.index('"end"')
    assert "id: 9\n" in text


def test_many_listeners_cost_one_look_and_leave_nothing_behind() -> None:
    async def scene() -> tuple[Database, Hub]:
        database = Database()
        hub = Hub(database, every=0.02)
        streams = [hub.listen(RUN, after) for after in range(10, 60)]
        for stream in streams:
            await gather(stream, 2)
        looks = len(database.asked)
        await asyncio.sleep(0.1)
        assert len(database.asked) - looks <= 7  # once per tick, whoever listens
        assert database.asked[-1] == {RUN: 10}
        await leave(*streams)
        assert hub.listeners == set()
        await asyncio.sleep(0.05)
        looks = len(database.asked)
        await asyncio.sleep(0.1)
        assert len(database.asked) == looks  # nobody listens, nobody looks
        return database, hub

    database, _ = asyncio.run(scene())
    assert len(database.threads) == 1
    assert "MainThread" not in database.threads


def test_silence_is_broken_by_heartbeats() -> None:
    async def scene() -> str:
        stream = Hub(Database(), every=0.01).listen(RUN, 0, heartbeat=0.05)
        text = await gather(stream, 4)
        await leave(stream)
        return text

    assert ": still here\n\n" in asyncio.run(scene())


def test_a_stream_ends_in_time_so_that_rights_are_checked_again() -> None:
    async def scene() -> list[str]:
        return [part async for part in Hub(Database(), every=0.01).listen(RUN, 0, heartbeat=0.02, longest=0.1)]

    assert len(asyncio.run(scene())) < 12


def test_a_failed_look_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> str:
        database = Database()
        database.broken = True
        stream = Hub(database, every=0.01).listen(RUN, 0, heartbeat=0.05)
        await gather(stream, 2)
        database.broken = False
        text = await gather(stream, 1)
        await leave(stream)
        return text

    assert '"state"' in asyncio.run(scene())
    assert "trying again" in caplog.text


def test_a_cancelled_reader_is_forgotten() -> None:
    async def scene() -> None:
        hub = Hub(Database(), every=0.01)

        async def read() -> None:
            async for _ in hub.listen(RUN, 0):
                pass

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        assert len(hub.listeners) == 1
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert hub.listeners == set()

    asyncio.run(scene())


def test_a_message_cannot_forge_a_line() -> None:
    text = encode(Message("log\n\nid: 99", "sft", 3))
    assert text.count("\n") == 3
    assert text.startswith("id: 3\ndata: ")


@pytest.mark.django_db(transaction=True)
def test_the_hub_reads_events_marks_and_states_of_many_runs_in_three_queries() -> None:
    author = User.objects.create_user("ada")
    version = factories.published_version(author)
    running, queued = factories.running_run(author, version), factories.queued_run(author, version)
    newest = RunEvent.objects.filter(stage__run=running).latest("pk")
    looks: list[dict[UUID, Look]] = []
    cursors = {running.pk: newest.pk - 1, queued.pk: 0, uuid.uuid4(): 0}
    reader = threading.Thread(target=lambda: looks.append(look_at_database(cursors)))
    reader.start()
    reader.join()
    [found] = looks
    assert found[running.pk].events == (Message("finished", "revise", newest.pk),)
    assert StageMark("sft", "running", 40) in found[running.pk].stages
    assert found[queued.pk].state == "queued"
    assert len(found) == 2


@pytest.mark.django_db(transaction=True)
def test_a_page_hears_what_it_missed_and_then_what_happens() -> None:
    """Over the whole stack: middleware, access, hub, database."""
    author = User.objects.create_superuser("root")
    run = factories.running_run(author)
    newest = RunEvent.objects.filter(stage__run=run).latest("pk")
    stage = run.stages.get(slug="sft")
    client = AsyncClient()
    client.force_login(author)

    def say(kind: str) -> None:
        RunEvent.objects.create(stage=stage, seq=41, kind=kind, at=timezone.now(), data={})
        Run.objects.filter(pk=run.pk).update(state="failed", finished_at=timezone.now())

    async def scene() -> str:
        address = f"/runs/{run.pk}/events/"
        response: Any = await client.get(address, headers={"Last-Event-ID": str(newest.pk - 1)})
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/event-stream")
        assert response["Cache-Control"] == "no-store"
        stream: AsyncIterator[str | bytes] = aiter(response.streaming_content)
        text = await gather(stream, 2)
        assert f"id: {newest.pk}\n" in text
        await asyncio.to_thread(in_own_connection, say, "failed")
        return text + "".join([text_of(part) async for part in stream])

    text = asyncio.run(scene())
    assert '{"kind": "failed", "stage": "sft"}' in text
    assert text.rstrip().endswith('data: {"kind": "end", "stage": ""}')


def in_own_connection(verb: Callable[..., object], *arguments: str) -> None:
    from django.db import connection

    try:
        verb(*arguments)
    finally:
        connection.close()
