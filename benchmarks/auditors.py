"""Fifty auditors at one queue, over HTTP against the real server, which is killed and started again in the middle.

Every auditor behaves as the page does: takes an item, chooses, keeps the verdict, is given the next; a decision is kept
in an outbox first and posted until the server has answered, with the same key each time. Afterwards the database is
held against what the clients saw: decisions `lost` (a client saw them as saved and the database has not), `doubled` or
`changed` on the way, `undelivered` (left in an outbox), and items given to `too_many` people or `miscounted`. All of
these must be 0. Times are those of answered requests, in milliseconds, as the clients saw them.

The app's own PostgreSQL is started in a folder of its own, which is thrown away.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _measuring as measuring
from cai_web.sockets import beside, listen

RETRY_S = 0.5
DRAIN_S = 60.0
CSRF = "a" * 32
"""Any secret does: the cookie and the header only have to be the same."""


@dataclass
class Seen:
    """What the clients saw: times by what was asked, decisions sent and answered, and what went wrong."""

    times: dict[str, list[float]] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    """Decisions by key with the side that was kept."""
    saved: set[str] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    lost_connections: int = 0


@dataclass(frozen=True)
class Plan:
    """How long, how many, and how fast they read."""

    seconds: float
    think_s: tuple[float, float]
    kill: bool = True
    down_s: float = 3.0


class Server:
    """The web server's processes as `make run` starts them; clients wait while they are down."""

    def __init__(self, environment: Mapping[str, str], log: Path, processes: int) -> None:
        self.environment, self.log = environment, log
        self.listeners = [listen(socket.AF_INET, ("127.0.0.1", 0))]
        self.listeners += [beside(self.listeners[0]) for _ in range(1, processes)]
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.listeners[0].getsockname()[1]}"

    def start(self) -> None:
        for listener in self.listeners:
            with self.log.open("ab") as output:
                self.processes.append(subprocess.Popen(
                    [sys.executable, "-m", "cai_web.serve", str(listener.fileno())],
                    cwd=measuring.ROOT, env=dict(self.environment), pass_fds=[listener.fileno()],
                    stdout=output, stderr=subprocess.STDOUT,
                ))  # fmt: skip

    def wait(self, seconds: float = 60.0) -> None:
        """Until it answers that it is well; raises URLError or fails when it does not."""
        until = time.monotonic() + seconds
        while True:
            try:
                urlopen(f"{self.address}/healthz", timeout=seconds).close()  # noqa: S310  # its own address
                return
            except HTTPError:
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.2)

    def close(self) -> None:
        """Stop, and give the sockets back."""
        self.stop()
        for listener in self.listeners:
            listener.close()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        for process in self.processes:
            process.send_signal(how)
        while self.processes:
            self.processes.pop().wait(timeout=30)


class Auditor:
    """One person with a browser."""

    def __init__(
        self, client: aiohttp.ClientSession, queue: int, session: str, seen: Seen, plan: Plan, seed: int
    ) -> None:
        self.client, self.queue, self.seen, self.plan = client, queue, seen, plan
        self.headers = {"Cookie": f"cai_session={session}; cai_csrf={CSRF}", "X-CSRFToken": CSRF, "X-Outbox": "1"}
        self.chance = random.Random(seed)

    async def work(self, until: float) -> None:
        """Judge until the time is over or nothing is left."""
        place = _place(await self.post("take", f"/audit/queues/{self.queue}/take/", {}, until + DRAIN_S))
        while place and time.monotonic() < until:
            await self.think()
            side = self.chance.choice(("first", "second", "neither"))
            chosen = await self.post("choose", f"{place}choose/", _keyed({"side": side}), until + DRAIN_S)
            if "data-advances" not in chosen:
                self.seen.errors["not revealed"] += 1
                return
            await self.think()
            key = str(uuid4())
            self.seen.sent[key] = side
            answer = await self.post("keep", f"{place}keep/", {"idempotency_key": key}, until + DRAIN_S)
            if answer:
                self.seen.saved.add(key)
            place = _place(answer)

    async def think(self) -> None:
        await asyncio.sleep(self.chance.uniform(*self.plan.think_s))

    async def post(self, what: str, path: str, body: Mapping[str, str], until: float) -> str:
        """Post until answered, as the outbox does; "" when the time is over."""
        while time.monotonic() < until:
            start = time.perf_counter()
            try:
                asked = self.client.post(path, data=body, headers=self.headers, allow_redirects=False)
                async with asked as response:
                    text, status = await response.text(), response.status
            except (aiohttp.ClientError, TimeoutError):
                self.seen.lost_connections += 1
                await asyncio.sleep(RETRY_S)
                continue
            if status == 200:
                self.seen.times.setdefault(what, []).append((time.perf_counter() - start) * 1000)
                return text
            self.seen.errors[f"{what} {status}"] += 1
            await asyncio.sleep(RETRY_S)
        return ""


async def simulate(server: Server, queue: int, sessions: Sequence[str], plan: Plan) -> Seen:
    """All auditors at once; the server is killed when half of the time is over, and started again."""
    seen = Seen()
    async with _client(server.address) as client:
        until = time.monotonic() + plan.seconds
        people = [Auditor(client, queue, one, seen, plan, place) for place, one in enumerate(sessions)]
        working = [asyncio.create_task(one.work(until)) for one in people]
        if plan.kill:
            await asyncio.sleep(plan.seconds / 2)
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await asyncio.sleep(plan.down_s)
            server.start()
        await asyncio.gather(*working)
    return seen


def _client(address: str) -> aiohttp.ClientSession:
    """As many connections as are asked for at once; each auditor's cookies are a header of theirs."""
    return aiohttp.ClientSession(
        base_url=address,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(20),
    )


def make_scene(auditors: int, items: int, per_item: int) -> tuple[int, list[str]]:
    """A queue of made-up labels and a session for each auditor, straight into the database."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.backends.db import SessionStore

    from constitutions_app.access import Role
    from training_app.actions import create_queue
    from training_app.actions.create_queue import QueuePlan

    people = [User.objects.create_user(f"auditor-{n}") for n in range(auditors)]
    Group.objects.get(name=Role.AUDITOR).user_set.add(*people)
    sessions = []
    for one in people:
        store = SessionStore()
        store.update({
            SESSION_KEY: str(one.pk), BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: one.get_session_auth_hash(),
        })  # fmt: skip
        store.save()
        sessions.append(str(store.session_key))
    _labels(people[0], items)
    plan = QueuePlan("Load", "labels", "uniform", size=items, per_item=per_item)
    return create_queue(user=people[0], plan=plan).pk, sessions


def _labels(author: Any, count: int) -> None:
    """A run with one label for each of `count` comparisons of ordinary length."""
    from constitutions_app.actions import create_constitution, publish_version
    from constitutions_app.core import principles as core
    from training_app.models import AILabel, Comparison, Judge, Run

    one = core.Principle(id="kindness", title="Kindness", text="Treat the person as somebody who deserves patience.")
    body = core.Constitution(name="Load", preamble="", principles=(one,))
    constitution = create_constitution(user=author, name="Load", start=body)
    version = publish_version(user=author, draft=constitution.draft, note="Load.")
    run = Run.objects.create(
        number=1, version=version, preset="demo", seed=1, created_by=author, base_model={"name": "none"}, config={}
    )
    judge = Judge.objects.create(
        name="Load", model_name="none", model_digest="0" * 64, template="paper", aggregation="mean",
        order_policy="both", dtype="float32", digest="0" * 64,
    )  # fmt: skip
    words = "A letter is slower, but it leaves room to think about what was agreed before. " * 10
    comparisons = Comparison.objects.bulk_create(
        Comparison(source="sampled", run=run, key=str(n), prompt_text=f"Question {n}?", response_a=f"{words} {n}",
                   response_b=f"Otherwise: {words}")
        for n in range(count)
    )  # fmt: skip
    principle = version.principles.get()
    AILabel.objects.bulk_create(
        AILabel(run=run, comparison=pair, principle=principle, judge=judge, question="Which is kinder?", sent_ab=words,
                sent_ba=words, ab_logp_a=-0.5, ab_logp_b=-0.9, ba_logp_a=-0.6, ba_logp_b=-0.8, p_ab=0.6, p_ba=0.55,
                p_a=0.575, p_a_clamped=0.575, same_position=False)
        for pair in comparisons
    )  # fmt: skip


def check(queue_id: int, seen: Seen) -> dict[str, int]:
    """The database against what the clients saw; every figure but `decisions` must be 0."""
    from django.db.models import Count, F, Q

    from training_app.models import Audit, AuditQueue, QueueItem, Reservation

    queue = AuditQueue.objects.get(pk=queue_id)
    kept = {str(one.pk): one for one in Audit.objects.all()}
    decided = Reservation.objects.filter(queue=queue, state=Reservation.State.DECIDED)
    held = Count("reservations", filter=Q(reservations__state__in=("open", "decided")))
    items = QueueItem.objects.filter(queue=queue).annotate(hands=held)
    finished = Count("reservations", filter=Q(reservations__state="decided"))
    sides = {str(one.audit_id): one for one in decided.select_related("audit")}
    return {
        "decisions": queue.decisions,
        "lost": len(seen.saved - kept.keys()),
        "doubled": len(kept) - len(kept.keys() & seen.sent.keys()) + abs(queue.decisions - decided.count()),
        "changed": sum(_side(sides[key]) != side for key, side in seen.sent.items() if key in sides),
        "undelivered": len(seen.sent) - len(seen.saved),
        "too_many": items.filter(Q(hands__gt=F("wanted")) | ~Q(hands=F("taken"))).count(),
        "miscounted": items.annotate(finished=finished).exclude(finished=F("decided")).count(),
    }


def _side(reservation: Any) -> str:
    """Where the kept choice stands for its auditor."""
    choice = str(reservation.audit.choice)
    if choice == "neither":
        return choice
    return "first" if choice == reservation.shown_first else "second"


def _place(answer: str) -> str:
    """The address of the item in an answer; "" when there is none."""
    _, found, rest = answer.partition('data-address="')
    address = rest.partition('"')[0] if found else ""
    return address if "/items/" in address else ""


def _keyed(body: dict[str, str]) -> dict[str, str]:
    return {**body, "idempotency_key": str(uuid4()), "seconds": "2"}


def quantile(values: Sequence[float], share: float) -> float:
    """The value under which `share` of them lie."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def main() -> None:
    """A throw-away app, the auditors, the check."""
    parser = measuring.options("auditors", __doc__ or "")
    parser.add_argument("--auditors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--items", type=int, default=8000)
    parser.add_argument("--per-item", type=int, default=2)
    parser.add_argument(
        "--think",
        type=float,
        nargs=2,
        default=(0.8, 2.2),
        help="seconds of reading before each choice and decision, from and to; people take longer",
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="auditors-") as folder:
        environment = {"VAR_DIR": folder, "HTTPS": "0", "DEBUG": "0", "COLLECTED_STATIC": "0", "DATABASE_KEPT": "1"}
        os.environ.update(environment, DJANGO_SETTINGS_MODULE="cai_web.settings")
        import django
        from django.conf import settings
        from django.core.management import call_command

        os.environ.pop("DATABASE_KEPT")
        django.setup()
        report = measuring.Report("auditors", measuring.machine(rounds=1), measuring.versions(["django", "uvicorn"]))
        try:
            call_command("migrate", verbosity=0)
            queue, sessions = make_scene(asked.auditors, asked.items, asked.per_item)
            server = Server({**os.environ, **environment}, Path(folder) / "server.log", settings.WEB_PROCESSES)
            server.start()
            server.wait()
            plan = Plan(asked.seconds, (asked.think[0], asked.think[1]))
            seen = asyncio.run(simulate(server, queue, sessions, plan))
            server.close()
            told(report, seen, check(queue, seen), plan)
        finally:
            settings.OWN_SERVICES.release()
    report.print()
    report.write(asked.json)


def told(report: measuring.Report, seen: Seen, found: Mapping[str, int], plan: Plan) -> None:
    """Figures, counts and the pace into the report."""
    report.notes.append(f"{plan.think_s[0]:g} to {plan.think_s[1]:g} s of reading before each choice and each decision")
    for what, values in seen.times.items():
        for share in (0.5, 0.95, 0.99):
            value = quantile(values, share)
            report.results[f"{what} p{share * 100:.0f}"] = measuring.Figure(value, min(values), max(values), "ms")
    rate = sum(map(len, seen.times.values())) / plan.seconds
    report.notes.append(f"{rate:.1f} requests/s; {seen.lost_connections} lost connections, all tried again.")
    report.notes.append(f"errors: {dict(seen.errors) or 'none'}")
    report.notes.append(", ".join(f"{name} {value}" for name, value in found.items()))
    mean = statistics.fmean(seen.times.get("keep") or [0.0])
    report.notes.append(f"mean time of a decision {mean:.1f} ms")


if __name__ == "__main__":
    main()
