"""How long comparing takes at 300 principles: the diff itself, its page, and an autosave beside it.

The diff is timed in this process; page and autosave over the real stack: uvicorn, Django and the app's own PostgreSQL
in a folder that is thrown away, asked by one browser-like client on a kept connection. Two versions of 300 principles
with a tenth of them edited; the second also moves, adds and removes a few. Outputs are checked before any time counts.
Baselines in the same rounds: Python's difflib on the same texts, and the smallest page of the same server.
"""

from __future__ import annotations

import difflib
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.conf import settings

from benchmarks import _measuring
from constitutions_app.core import diff
from constitutions_app.core.principles import Constitution, Principle

if TYPE_CHECKING:
    from constitutions_app.models import Draft

PRINCIPLES, EDITED = 300, 30
CALLS = 20
"""Calls per round; a round's figure is their median."""

TEXT = """
    the assistant answers people honestly kindly briefly never helps harm privacy law children advice source doubt says
    what it knows and does not know before anybody asks about money health safety work family neighbours schools rules
"""
WORDS = TEXT.split()


def constitutions() -> tuple[Constitution, Constitution]:
    """A constitution of 300 principles of about 40 words, and one with a tenth of them edited, two moved, one gone."""
    dice = random.Random(7)
    old = tuple(
        Principle(id=f"p{number}", title=f"Principle {number}", text=_sentence(dice, 40), rationale=_sentence(dice, 25))
        for number in range(PRINCIPLES)
    )
    new = list(old)
    for place in sorted(dice.sample(range(PRINCIPLES), EDITED)):
        words = old[place].text.split()
        words[dice.randrange(len(words))] = "surveillance"
        words.insert(dice.randrange(len(words)), "always")
        new[place] = replace(old[place], text=" ".join(words))
    new.insert(10, new.pop(200))
    new.insert(250, new.pop(20))
    del new[100]
    new.append(Principle(id="fresh", title="Fresh", text=_sentence(dice, 40)))
    return Constitution("Benchmark", principles=old), Constitution("Benchmark", principles=tuple(new))


def _sentence(dice: random.Random, words: int) -> str:
    return " ".join(dice.choice(WORDS) for _ in range(words)).capitalize() + "."


def median_call(work: Callable[[], object], calls: int = CALLS) -> float:
    """Milliseconds: the median of some calls."""
    times = sorted(_measuring.timed(work) for _ in range(calls))
    return times[len(times) // 2] * 1000


def rounds_of(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, _measuring.Figure]:
    """The median call of each candidate per round, in turn."""
    names = list(candidates)
    for work in candidates.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(median_call(candidates[name]))
    return {name: _measuring.Figure.of(values, "ms") for name, values in found.items()}


def with_difflib(old: Constitution, new: Constitution) -> None:
    """The plain way: match by id, and difflib over the words of what differs."""
    known = {item.id: item for item in old.principles}
    for item in new.principles:
        before = known.get(item.id)
        if before and before != item:
            difflib.SequenceMatcher(None, before.text.split(), item.text.split(), autojunk=False).get_opcodes()


# -- the real stack ----------------------------------------------------------------------------------------------------


class Browser:
    """One signed-in person on a kept connection."""

    def __init__(self, port: int, session: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookies = {settings.SESSION_COOKIE_NAME: session}

    def get(self, path: str) -> str:
        return self._ask("GET", path, "", {}, 200)

    def post(self, path: str, fields: dict[str, str]) -> str:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Autosave": "1",
            "X-CSRFToken": self.cookies[settings.CSRF_COOKIE_NAME],
            "Accept": "application/json",
        }
        return self._ask("POST", path, urlencode(fields), headers, 200)

    def _ask(self, method: str, path: str, body: str, headers: dict[str, str], expected: int) -> str:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie, **headers}
        try:
            self.connection.request(method, path, body.encode(), headers)
            response = self.connection.getresponse()
        except http.client.RemoteDisconnected:  # the server closes connections that were idle for five seconds
            self.connection.close()
            self.connection.request(method, path, body.encode(), headers)
            response = self.connection.getresponse()
        text = response.read().decode()
        for line in response.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        assert response.status == expected, (method, path, response.status, text[:300])
        return text


@contextmanager
def served() -> Iterator[int]:
    """The web server as `make run` starts it, in a throw-away folder; its port."""
    folder = Path(tempfile.mkdtemp(prefix="writ-bench-"))
    os.environ.update(
        {"DJANGO_SETTINGS_MODULE": "cai_web.settings", "VAR_DIR": str(folder), "HTTPS": "0", "COLLECTED_STATIC": "0"}
    )
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "DEBUG"):
        os.environ.pop(name, None)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-m", "cai_web.serve", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield listener.getsockname()[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
            _stop_services()
            shutil.rmtree(folder, ignore_errors=True)


def _stop_services() -> None:
    from django.db import connections

    connections.close_all()
    settings.OWN_SERVICES.release()
    settings.OWN_SERVICES.redis.stop()
    settings.OWN_SERVICES.postgres.stop()


def published(old: Constitution, new: Constitution) -> tuple[Draft, str]:
    """Both constitutions as v1 and v2 of one; the draft, and the session of somebody who may write."""
    from django.contrib.auth.models import User
    from django.test import Client

    from constitutions_app import actions
    from constitutions_app.actions.branching import rewrite

    boss = User.objects.create_superuser("bench")
    made = actions.create_constitution(user=boss, name="Benchmark", start=old)
    actions.publish_version(user=boss, draft=made.draft, note="First.")
    draft = made.drafts.get()
    rewrite(draft, new, boss)
    actions.publish_version(user=boss, draft=draft, note="Second.")
    client = Client()
    client.force_login(boss, backend="cai_web.backends.PasswordBackend")
    return made.drafts.get(), client.cookies[settings.SESSION_COOKIE_NAME].value


def pages(browser: Browser, draft: Draft) -> dict[str, Callable[[], object]]:
    """What is asked of the server. Autosaves change one principle to and fro, each with the revision it read."""
    row = draft.principles.get(key="p7")
    state = {"revision": row.revision, "turn": 0}

    def autosave() -> None:
        state["turn"] += 1
        text = f"{row.text} Saved {state['turn']}."
        fields = {"text": text, "changed": "text", "revision": str(state["revision"])}
        browser.post(f"/constitutions/{draft.address}/draft/principles/p7/", fields)
        state["revision"] += 1

    return {
        "page of the comparison": lambda: browser.get("/constitutions/benchmark/compare/v1..v2/"),
        "side by side": lambda: browser.get("/constitutions/benchmark/compare/v1..v2/?view=side-by-side"),
        "autosave": autosave,
        "smallest page": lambda: browser.get("/healthz"),
    }


def main() -> None:
    asked = _measuring.options("compare", __doc__.split("\n\n")[0] if __doc__ else "").parse_args()
    report = _measuring.Report("compare", _measuring.machine(rounds=asked.rounds), _measuring.versions(["Django"]))
    old, new = constitutions()
    found = diff.diff_constitutions(old, new)
    assert diff.apply(old, found) == new
    report.notes.append(f"300 principles: {found.summary}")
    report.results |= rounds_of(
        {
            "diff": lambda: diff.diff_constitutions(old, new),
            "difflib over the edited texts": lambda: with_difflib(old, new),
        },
        asked.rounds,
    )
    with served() as port:
        draft, session = published(old, new)
        browser = Browser(port, session)
        html = browser.get("/constitutions/benchmark/compare/v1..v2/")
        assert html.count('data-step="change"') == found.count
        browser.get(f"/constitutions/{draft.address}/draft/principles/p7/")
        report.results |= rounds_of(pages(browser, draft), asked.rounds)
    plain = report.results["difflib over the edited texts"]
    report.ratio("difflib over diff", baseline=plain, candidate=report.results["diff"])
    report.notes.append(f"the page has {len(html) / 1024:.0f} KiB; measured {time.strftime('%Y-%m-%d')}")
    report.print()
    report.write(asked.json)


if __name__ == "__main__":
    main()
