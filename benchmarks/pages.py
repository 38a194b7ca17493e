"""How fast pages answer over HTTP, from the real server, on a database that `benchmarks.load_audit` filled.

    VAR_DIR=... python -m benchmarks.pages --json FILE [--before SMALL.json]

Requests leave at fixed times, thirty a second, whether or not earlier ones are answered (an open loop), and latency
counts from the time a request was due. They come from some browsers, each with connections of its own. Client, server
and database share the machine's cores. The first page and the ten-thousandth are asked in turn. `--before` names the
file of a run on a smaller database: growth is told beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")

ROOT = Path(__file__).resolve().parents[1]
BARS_MS = {"list": 30, "item": 30, "next": 30, "search": 30, "decision": 30, "counts": 40, "statistics": 40}
DEEP = 10_000
PEOPLE = 16
"""Browsers that ask, each on connections of its own: the server's processes share them out."""
SORTS = ("newest", "oldest", "p_low", "p_high", "unsure", "audited")


@dataclass(frozen=True)
class Ask:
    """One kind of request: its class, its name in the report, and the address, or the form for a POST."""

    of: str
    name: str
    path: str
    form: Mapping[str, str] | None = None


def main() -> None:
    """Serve, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "var" / "benchmarks" / "pages.json")
    parser.add_argument("--seconds", type=float, default=40.0, help="of the open loop")
    parser.add_argument("--rate", type=float, default=30.0, help="requests a second")
    parser.add_argument("--rounds", type=int, default=30, help="of the first and the deep page")
    parser.add_argument("--only", default="", help="only requests whose name holds this")
    parser.add_argument("--before", type=Path, default=None, help="the file of a run on a smaller database")
    options = parser.parse_args()
    import django

    django.setup()
    rows, asks, deep = _rows(), _asks(), _deep_pages()
    asks = [one for one in asks if options.only in one.name]
    with _servers() as (url, cookies, pids):
        found = {"rows": rows, **asyncio.run(_measure(url, cookies, pids, asks, deep, options))}
    if options.before:
        found["growth"] = _growth(json.loads(options.before.read_text(encoding="utf-8")), found)
    _print(found)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


async def _measure(
    url: str, cookies: dict[str, str], servers: Sequence[int], asks: Sequence[Ask], deep: Mapping[str, tuple[str, str]],
    options: Any,
) -> dict[str, Any]:  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(_browser(url, cookies)) for _ in range(PEOPLE)]
        token, also = await _token(people[0])
        people = [await stack.enter_async_context(_browser(url, {**cookies, **also})) for _ in range(PEOPLE)]
        for one in asks:  # every page some times: imports, compiled templates and plans, in each process
            for person in people[:: PEOPLE // 4]:
                await _send(person, one, token)
        loop = await _open_loop(people, asks, token, options)
        pages = {} if options.only else await _in_turn(people[0], deep, options.rounds)
        export = {} if options.only else await _export(people[0], servers)
    return {"rate": options.rate, "seconds": options.seconds, **loop, "pages": pages, "export": export}


async def _open_loop(
    people: Sequence[aiohttp.ClientSession], asks: Sequence[Ask], token: str, options: Any
) -> dict[str, Any]:
    times: dict[str, list[float]] = defaultdict(list)
    classes: dict[str, list[float]] = defaultdict(list)
    failed: dict[str, int] = defaultdict(int)
    chance = random.Random(3)

    async def send(one: Ask, due: float) -> None:
        status = await _send(chance.choice(people), one, token)
        took = (time.perf_counter() - due) * 1000
        times[one.name].append(took)
        classes[one.of].append(took)
        if status >= 400:
            failed[f"{one.name}: {status}"] += 1

    start = time.perf_counter() + 0.1
    tasks = []
    for number in range(int(options.seconds * options.rate)):
        due = start + number / options.rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        tasks.append(asyncio.create_task(send(chance.choice(asks), due)))
    await asyncio.gather(*tasks)
    return {
        "classes": {name: _figures(values) for name, values in sorted(classes.items())},
        "requests": {name: _figures(values) for name, values in sorted(times.items())},
        "failed": dict(failed),
    }


def _browser(url: str, cookies: Mapping[str, str]) -> aiohttp.ClientSession:
    """One with connections of its own. Cookies are a header here: keeping a jar would be the client's own time."""
    return aiohttp.ClientSession(
        base_url=url,
        headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "Referer": url},
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(60),
    )


async def _send(client: aiohttp.ClientSession, one: Ask, token: str) -> int:
    """The status of the answer, once all of it is read."""
    form = {"idempotency_key": str(uuid.uuid4()), "csrfmiddlewaretoken": token, **(one.form or {})}
    asked = client.get(one.path) if one.form is None else client.post(one.path, data=form, allow_redirects=False)
    async with asked as answer:
        await answer.read()
    return answer.status


async def _in_turn(client: aiohttp.ClientSession, deep: Mapping[str, tuple[str, str]], rounds: int) -> dict[str, Any]:
    """The first and the ten-thousandth page, one after the other, so many times."""
    found = {}
    for name, paths in deep.items():
        took: tuple[list[float], list[float]] = ([], [])
        for turn in range(rounds):
            for which in (0, 1) if turn % 2 else (1, 0):
                start = time.perf_counter()
                status = await _send(client, Ask("list", name, paths[which]), "")
                took[which].append((time.perf_counter() - start) * 1000)
                assert status == 200, status
        first, last = _figures(took[0]), _figures(took[1])
        found[name] = {"first": first, "deep": last, "ratio": round(last["p50"] / first["p50"], 3)}
    return found


async def _export(client: aiohttp.ClientSession, servers: Sequence[int]) -> dict[str, float]:
    """Every label as a line of JSON: lines a second, and by how much the memory of the web server grew meanwhile."""
    import psutil

    processes, lines, size = [psutil.Process(server) for server in servers], 0, 0
    before = most = sum(process.memory_info().rss for process in processes)
    start = time.perf_counter()
    async with client.get("/audit/explore/export/?kind=label") as answer:
        async for piece in answer.content.iter_chunked(2**18):
            lines += piece.count(b"\n")
            size += len(piece)
            most = max(most, sum(process.memory_info().rss for process in processes))
    took = time.perf_counter() - start
    return {"rows": lines, "rows_per_s": round(lines / took), "mb": round(size / 1e6, 1),
            "server_mb": round(most / 1e6, 1), "grew_mb": round((most - before) / 1e6, 1)}  # fmt: skip


async def _token(client: aiohttp.ClientSession) -> tuple[str, dict[str, str]]:
    """The token of the page's forms, and the cookies it belongs to."""
    async with client.get("/audit/explore/") as answer:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', await answer.text())
    assert found, "the explorer's page has no form token"
    return found.group(1), {name: morsel.value for name, morsel in answer.cookies.items()}


def _asks() -> list[Ask]:
    """Every filter, every order, items, searches, counts and decisions, over what is in the database."""
    from training_app.models import AILabel, Judge, Run

    last = AILabel.objects.order_by("-pk").values_list("pk", flat=True)[0]
    chance = random.Random(11)
    some = [chance.randint(1, last) for _ in range(40)]
    label = AILabel.objects.select_related("principle").get(pk=last // 2)
    judge, run = Judge.objects.order_by("-pk")[0].pk, Run.objects.order_by("number")[0].number
    cited = label.principle
    assert cited is not None
    filters = {
        "nothing": "", "run": f"run={run}", "version": f"version={cited.version_id}",
        "principle": f"principle={cited.pk}", "key": f"key={cited.key}", "judge": f"judge={judge}",
        "constitution": "constitution=loaded", "tag": "tag=rare-tag", "p range": "p_from=0.7&p_to=0.75",
        "unsure": "unsure=0.05", "orders": "orders=same", "state": "state=disputed",
        "auditor": f"auditor={_auditor()}", "stale": "stale=stale", "dates": "since=2026-11-05&until=2026-11-06",
        "commented": "commented=yes", "few of many": f"judge={judge}&state=disputed&tag=rare-tag&run={run}",
    }  # fmt: skip
    start = "/audit/explore/?kind="
    asks = [Ask("list", f"labels, {name}, newest", f"{start}label&{query}") for name, query in filters.items()]
    for sort in SORTS[1:]:
        for name in ("nothing", "run", "judge", "tag", "state", "orders", "key"):
            asks.append(Ask("list", f"labels, {name}, {sort}", f"{start}label&sort={sort}&{filters[name]}"))
    for kind, query in (("comparison", ""), ("comparison", f"run={run}"), ("audit", ""), ("audit", "verdict=override"),
                        ("audit", f"auditor={_auditor()}&reason=misread"), ("step", "")):  # fmt: skip
        asks.append(Ask("list", f"{kind}s, {query or 'nothing'}", f"{start}{kind}&{query}"))
    for kind, text in (("label", "people"), ("label", "people help"), ("label", "babaxa"), ("label", '"help answer"'),
                       ("label", "nowhereatall"), ("comparison", "people"), ("comparison", "babaxa or question"),
                       ("audit", "people"), ("label", "people&sort=best"), ("comparison", "help&sort=best"),
                       ("label", f"people&judge={judge}"), ("label", "question&state=disputed")):  # fmt: skip
        asks.append(Ask("search", f"{kind}s, “{text}”", f"{start}{kind}&text={text.replace(' ', '+')}"))
    said = {"verdict": "comment", "comment": "seen"}
    asks += [Ask("item", "label", f"/audit/labels/{pk}/") for pk in some[:12]]
    asks += [Ask("next", "next label", f"/audit/labels/{pk}/?orders=same") for pk in some[12:18]]
    asks += [Ask("decision", "verdict", f"/audit/labels/{pk}/", said) for pk in some[18:]]
    asks += [Ask("counts", f"by {name}", f"{start}label&count={name}") for name in ("state", "judge", "run", "key")]
    asks += [Ask("statistics", "audit landing", "/audit/")]
    return asks


def _auditor() -> int:
    from training_app.models import Audit

    return int(Audit.objects.values_list("auditor_id", flat=True).order_by("-auditor_id")[0])


def _deep_pages() -> dict[str, tuple[str, str]]:
    """Addresses of the first and of the ten-thousandth page (or of the last, where there are fewer)."""
    from training_app.models import LabelFacts

    count = LabelFacts.objects.count()
    skipped = min(50 * DEEP, max(count - 60, 0))
    newest = LabelFacts.objects.order_by("-pk").values_list("pk", flat=True)[skipped - 1]
    p_a, key = LabelFacts.objects.order_by("p_a", "pk").values_list("p_a", "pk")[skipped - 1]
    start = "/audit/explore/?kind=label"
    return {
        "newest": (start, f"{start}&after=~{newest}"),
        "p_low": (f"{start}&sort=p_low", f"{start}&sort=p_low&after={p_a!r}~{key}"),
        "orders=agree": (f"{start}&orders=agree", f"{start}&orders=agree&after=~{newest}"),
    }


def _rows() -> dict[str, int]:
    from training_app.models import AILabel, Audit, Comparison

    return {one.__name__: one.objects.count() for one in (Comparison, AILabel, Audit)}


@contextmanager
def _servers() -> Iterator[tuple[str, dict[str, str], list[int]]]:
    """The web server as `make run` starts it, the cookies of a signed-in admin, and the server's processes."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    from cai_web.sockets import beside, listen

    admin = User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("admin", password=None)
    listeners = [listen(socket.AF_INET, ("127.0.0.1", 0))]
    listeners += [beside(listeners[0]) for _ in range(1, settings.WEB_PROCESSES)]
    url = f"http://127.0.0.1:{listeners[0].getsockname()[1]}"
    environment = {**os.environ, "HTTPS": "0", "COLLECTED_STATIC": "0", "LOG_LEVEL": "WARNING"}
    servers = [
        subprocess.Popen(
            [sys.executable, "-m", "cai_web.serve", str(listener.fileno())],
            pass_fds=(listener.fileno(),), env=environment, cwd=ROOT,
        )
        for listener in listeners
    ]  # fmt: skip
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=2):  # noqa: S310  # our own
                break
            time.sleep(0.1)
        browser = Client()
        browser.force_login(admin)
        cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
        yield url, cookies, [server.pid for server in servers]
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(20)
        for listener in listeners:
            listener.close()


def _figures(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 1)

    return {"n": len(ordered), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": round(ordered[-1], 1)}


def _growth(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: round(figures["p50"] / before["classes"][name]["p50"], 2)
        for name, figures in now["classes"].items()
        if name in before["classes"]
    }


def _print(found: Mapping[str, Any]) -> None:
    print(f"\npages over {found['rows']}, {found['rate']:g} requests/s for {found['seconds']:g} s, ms from when due")
    for title in ("requests", "classes"):
        for name, one in found[title].items():
            bar = f"  bar {BARS_MS[name]}" if title == "classes" else ""
            figures = " ".join(f"{which} {one[which]:7}" for which in ("n", "p50", "p95", "p99", "max"))
            print(f"  {name:44} {figures}{bar}")
    for name, one in found["pages"].items():
        print(f"  page 1 / 10,000, {name:24} {one['first']['p50']:7} {one['deep']['p50']:7} ratio {one['ratio']}")
    print(f"  export: {found['export']}")
    for name, times in found.get("growth", {}).items():
        print(f"  growth of {name:34} {times:7} x")
    print(f"  failed: {found['failed'] or 'none'}")


if __name__ == "__main__":
    main()
