"""Server-sent events: pages of a run hear within a second that something happened, without asking.

One `Hub` per process looks at the database once a second for *all* the runs somebody is watching, on one thread with
one connection, and hands what it found to the listeners. So a hundred open pages cost what one costs, and no stream
holds a database connection. A message says only what kind of thing happened where; the page then asks for the fragment
that shows it, through the same view and the same access rules as ever.

A page that comes back after a lost connection names the last event it heard (`Last-Event-ID`) and is told what it
missed. Messages of one kind and stage are merged until they are sent: a slow reader makes no queue grow.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import close_old_connections
from django.db.models import Q

from training_app.models import Run, RunEvent, RunStage
from training_app.models.run import ENDED_STATES

LOOK_EVERY = 1.0
"""Seconds between two looks at the database."""

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that proxies keep the connection."""

LONGEST = 600.0
"""Seconds after which a stream ends and the browser comes back: rights and addresses are checked again then."""

RETRY_MS = 2000
MOST_EVENTS = 1000
LARGEST_EVENT = 2**63 - 1

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    """What a page is told: the kind of thing that happened, at which stage, and its number if it has one."""

    kind: str
    stage: str = ""
    id: int | None = None


@dataclass(frozen=True)
class StageMark:
    """How far one stage is; two marks that differ mean that something happened."""

    slug: str
    state: str
    last_seq: int


@dataclass(frozen=True)
class Look:
    """One run as it stood at one look: its state, its stages, and its events behind a given one."""

    state: str
    stages: tuple[StageMark, ...] = ()
    events: tuple[Message, ...] = ()


class Listener:
    """One open page. The hub offers it looks; the page's stream takes what they add up to."""

    def __init__(self, run_id: UUID, after: int) -> None:
        self.run_id = run_id
        self.after = after
        self._state = ""
        self._stages: dict[str, StageMark] = {}
        self._pending: dict[tuple[str, str], Message] = {}
        self._woken = asyncio.Event()

    def offer(self, look: Look) -> None:
        """Keep what is new in `look`. The first look always counts as a change: the page may be older than it."""
        for event in look.events:
            if event.id is not None and event.id > self.after:
                self.after = event.id
                self._keep(event)
        for mark in look.stages:
            known = self._stages.get(mark.slug)
            if known is not None and known.state != mark.state:
                self._keep(Message("stage", mark.slug))
            elif known is not None and known != mark:
                self._keep(Message("progress", mark.slug))
            self._stages[mark.slug] = mark
        if look.state != self._state:
            self._state = look.state
            self._keep(Message("state"))
        if look.state in ENDED_STATES:
            self._keep(Message("end"))

    async def take(self, timeout: float) -> tuple[Message, ...]:
        """What has come since the last time, "end" last; empty when nothing has come for `timeout` seconds."""
        try:
            await asyncio.wait_for(self._woken.wait(), timeout)
        except TimeoutError:
            return ()
        self._woken.clear()
        taken = sorted(self._pending.values(), key=lambda message: (message.kind == "end", message.id or 0))
        self._pending.clear()
        return tuple(taken)

    def _keep(self, message: Message) -> None:
        self._pending[message.kind, message.stage] = message
        self._woken.set()


LookAt = Callable[[Mapping[UUID, int]], Mapping[UUID, Look]]


@dataclass
class Hub:
    """Looks once for all listeners and tells each. `look` runs on the hub's only thread, never on the event loop."""

    look: LookAt
    every: float = LOOK_EVERY
    listeners: set[Listener] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="streams"))

    async def listen(
        self, run_id: UUID, after: int, *, heartbeat: float = HEARTBEAT, longest: float = LONGEST
    ) -> AsyncGenerator[str, None]:
        """The text of one stream, until the run ends, `longest` seconds have gone by, or the reader leaves."""
        listener = Listener(run_id, after)
        self.listeners.add(listener)
        self._make_sure_it_looks()
        leave_at = asyncio.get_running_loop().time() + longest
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while asyncio.get_running_loop().time() < leave_at:
                messages = await listener.take(heartbeat)
                yield "".join(map(encode, messages)) if messages else ": still here\n\n"
                if messages and messages[-1].kind == "end":
                    return
        finally:
            self.listeners.discard(listener)

    def _make_sure_it_looks(self) -> None:
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        """Look as long as anybody listens. A failed look (the database restarts) is logged and tried again."""
        loop = asyncio.get_running_loop()
        while self.listeners:
            cursors: dict[UUID, int] = {}
            for listener in self.listeners:
                cursors[listener.run_id] = min(listener.after, cursors.get(listener.run_id, listener.after))
            try:
                looks = await loop.run_in_executor(self._thread, self.look, cursors)
            except Exception:
                log.exception("The live pages could not be told what is new; trying again.")
                looks = {}
            for listener in tuple(self.listeners):
                if listener.run_id in looks:
                    listener.offer(looks[listener.run_id])
            await asyncio.sleep(self.every)


def encode(message: Message) -> str:
    """One message as the event-stream format writes it. Only slugs and numbers go in, so no line can be forged."""
    data = json.dumps({"kind": message.kind, "stage": message.stage})
    number = "" if message.id is None else f"id: {message.id}\n"
    return f"{number}data: {data}\n\n"


def look_at_database(cursors: Mapping[UUID, int]) -> dict[UUID, Look]:
    """Two queries for all watched runs together. The connection is kept for the next look where pages' are kept."""
    try:
        states = dict(Run.objects.filter(pk__in=cursors).values_list("pk", "state"))
        marks: dict[UUID, list[StageMark]] = {}
        stages = RunStage.objects.filter(run__in=cursors).values_list("run", "slug", "state", "last_seq")
        for run_id, slug, state, last_seq in stages:
            marks.setdefault(run_id, []).append(StageMark(slug, state, last_seq))
        events: dict[UUID, list[Message]] = {}
        for run_id, number, kind, slug in _events_behind(cursors):
            events.setdefault(run_id, []).append(Message(kind, slug, number))
        return {
            run_id: Look(state, tuple(marks.get(run_id, ())), tuple(events.get(run_id, ())))
            for run_id, state in states.items()
        }
    finally:
        close_old_connections()


def _events_behind(cursors: Mapping[UUID, int]) -> Sequence[tuple[UUID, int, str, str]]:
    """Events are numbered in the order of their run's only writer, so "behind the last one heard" leaves none out."""
    wanted = reduce(or_, (Q(stage__run=run_id, id__gt=after) for run_id, after in cursors.items()))
    events = RunEvent.objects.filter(wanted).order_by("id")
    return list(events.values_list("stage__run", "id", "kind", "stage__slug")[:MOST_EVENTS])


hub = Hub(look_at_database)
"""The one hub of this process."""
