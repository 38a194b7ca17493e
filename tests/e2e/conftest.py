"""What the browser tests share: a browser, a web server over the test's own database, and people signed in to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse

from constitutions_app.access import Role
from constitutions_app.models import Constitution
from tests.base import program_environment, wait_for
from tests.chromium import chromium, launch
from tests.constitutions_app.factories import make_constitution, make_person
from tests.signing_in import session_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


class Site:
    """The real web server, over the database of the test that uses it."""

    def __init__(self, address: str) -> None:
        self.address = address

    def sign_in(self, context: BrowserContext, user: User) -> None:
        """Gives the browser the cookie of somebody who has signed in, without the way there."""
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": session_of(user), "url": self.address}])

    def at(self, path: str) -> str:
        return f"{self.address}{path}"

    def editor(self, key: str = "privacy") -> str:
        """The page on which one principle of the shared constitution is written."""
        return self.at(reverse("constitutions:draft_principle", args=["test", key]))


@pytest.fixture(scope="session")
def web_server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Started once; every test fills the database that it reads."""
    log = tmp_path_factory.mktemp("web") / "web.log"
    with socket.socket() as listener, log.open("wb") as output:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        site = Site(f"http://127.0.0.1:{listener.getsockname()[1]}")
        process = subprocess.Popen(
            [sys.executable, "-m", "cai_web.serve", str(listener.fileno())],
            cwd=settings.BASE_DIR,
            env=program_environment(),
            pass_fds=[listener.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(lambda: _answers(site) or process.poll() is not None, 60, what="the web server")
            assert process.poll() is None, log.read_text()
            yield site
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


@pytest.fixture
def site(transactional_db: None, web_server: Site) -> Site:
    """The web server, and a database in which what a test writes is there for it to read."""
    return web_server


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window. Skips loudly where there is none; fails where one is required.

    For this folder only: while it lives, an event loop runs in this thread, which other tests cannot have.
    """
    program = chromium()
    if program is None:
        sentence = "No Chromium on this machine: `make browser` installs it."
        if os.environ.get("CAI_REQUIRE_BROWSER"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, _django_beside_playwright():
        browser = launch(playwright, program)
        yield browser
        browser.close()


@pytest.fixture
def fresh_page(browser: Browser) -> Iterator[Page]:
    """A fresh browser profile with one page. The test fails if a script failed or the policy refused something."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    context.close()
    assert not problems, problems


@contextmanager
def _django_beside_playwright() -> Iterator[None]:
    """Playwright's synchronous interface runs an event loop in this thread, which Django would take for async code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture
def page(site: Site, fresh_page: Page) -> Page:
    """A page that closes before the database is emptied: it may ask for something at any moment."""
    return fresh_page


@pytest.fixture
def models(site: Site) -> Path:
    """A folder of models that the web server looks into: one that nobody will load."""
    from tests.training_app import scripted

    scripted.base_model(Path(settings.MODELS_ROOT) / "made-up-model")
    return Path(settings.MODELS_ROOT)


@pytest.fixture
def author(site: Site) -> User:
    return make_person("ada", Role.AUTHOR)


@pytest.fixture
def constitution(author: User) -> Constitution:
    return make_constitution(author)


@pytest.fixture
def ada(page: Page, site: Site, author: User, constitution: Constitution) -> Page:
    """The first author's page, on the principle about privacy."""
    site.sign_in(page.context, author)
    page.goto(site.editor())
    return page


def _answers(site: Site) -> bool:
    try:
        with urlopen(site.at("/healthz"), timeout=5):
            return True
    except (URLError, OSError):
        return False
