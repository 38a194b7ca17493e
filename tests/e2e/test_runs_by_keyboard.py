"""Without a mouse: a run is launched, cancelled, resumed, watched to its end; runs are compared; one is released."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from constitutions_app.access import Role
from tests.constitutions_app.factories import make_constitution, make_person, newest
from tests.e2e.conftest import Site
from tests.training_app.factories import finished_run
from tests.training_app.scenes import QUICK, comparisons, helpful, red_team
from training_app import signatures
from training_app.actions import change_release_rules
from training_app.core.signing_keys import make_key
from training_app.models import ChatTurn, Run
from training_app.runner import run_once

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_a_run_is_launched_cancelled_resumed_and_watched_to_its_end(page: Page, site: Site, models: Path) -> None:
    from playwright.sync_api import expect

    engineer = make_person("ada", Role.ENGINEER)
    make_constitution(engineer)
    for load in (red_team, helpful, comparisons):
        load()
    site.sign_in(page.context, engineer)
    page.goto(site.at(reverse("training:runs")))
    _arrived(page, "Runs")
    page.keyboard.press("l")
    _arrived(page, "Launch a run")

    page.locator("[name=name]").focus()
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")  # looks, and launches nothing
    expect(page.locator("#plan")).to_contain_text("no run yet to measure by")
    expect(page.locator("[name=name]")).to_have_value("by keyboard")
    assert not Run.objects.exists()

    _press(page.get_by_role("button", name="Launch run"))
    _arrived(page, "Run 1 by keyboard")
    expect(page.get_by_text("Waiting for a worker.")).to_be_visible()
    _press(page.get_by_role("link", name="Cancel", exact=True))
    _press(page.get_by_role("button", name="Cancel the run"))
    expect(page.locator("#run-head")).to_contain_text("cancelled")
    _press(page.get_by_role("button", name="Resume"))
    expect(page.locator("#run-head")).to_contain_text("queued")

    run = Run.objects.get()
    worker = threading.Thread(target=_work, args=(run,))
    worker.start()
    expect(page.locator("#run-head")).to_contain_text("succeeded", timeout=90_000)  # by itself, without a reload
    worker.join()
    expect(page.locator("#run-curves svg").first).to_be_visible()
    _press(page.get_by_role("link", name="Clone this run"))
    _arrived(page, "Launch a run")
    expect(page.locator("[name=name]")).to_have_value("by keyboard")


def test_runs_are_ticked_in_the_list_and_compared(page: Page, site: Site) -> None:
    engineer = make_person("ada", Role.ENGINEER)
    version = newest(make_constitution(engineer))
    first, second = (finished_run(engineer, version).run for _ in range(2))
    site.sign_in(page.context, engineer)
    page.goto(site.at(reverse("training:runs")))
    _arrived(page, "Runs")
    for run in (first, second):
        page.get_by_role("checkbox", name=f"Compare run {run.number}").focus()
        page.keyboard.press("Space")
    page.keyboard.press("c")
    _arrived(page, f"Compare runs {second.number}, {first.number}")
    page.get_by_label("Log scale").focus()
    page.keyboard.press("Space")
    _press(page.get_by_role("button", name="Draw"))
    page.wait_for_url("**scale=log**")
    assert page.get_by_label("Log scale").is_checked()


def test_a_checkpoint_is_signed_off_made_production_and_signed(page: Page, site: Site) -> None:
    """By two people: who launched the run cannot be the one who signs it off."""
    from playwright.sync_api import expect

    engineer, auditor = make_person("ada", Role.ENGINEER), make_person("olu", Role.AUDITOR)
    done = finished_run(engineer, newest(make_constitution(engineer)))
    change_release_rules(user=engineer, constitution=done.run.version.constitution, roles=["auditor"])
    release = site.at(reverse("training:release", args=[done.rl.pk]))
    site.sign_in(page.context, engineer)
    page.goto(release)
    expect(page.get_by_text("Nobody has signed it off as auditor yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Make production")).to_be_disabled()

    site.sign_in(page.context, auditor)
    page.goto(release)
    expect(page.get_by_role("button", name="Make production")).to_have_count(0)
    page.get_by_label("refuse it").focus()
    page.keyboard.press("Space")
    _press(page.get_by_role("button", name="Sign", exact=True))
    expect(page.get_by_text("Say in a sentence why")).to_be_visible()
    page.get_by_label("sign it off").focus()
    page.keyboard.press("Space")
    page.get_by_label("Note").focus()
    page.keyboard.type("Read forty answers.")
    _press(page.get_by_role("button", name="Sign", exact=True))
    expect(page.get_by_text("signs off as auditor").first).to_be_visible()

    make_key(Path(settings.MODEL_SIGNING_KEY))
    try:
        site.sign_in(page.context, engineer)
        page.goto(release)
        _press(page.get_by_role("button", name="Make production"))
        expect(page.get_by_text("“production” now points at this checkpoint.")).to_be_visible()
        _press(page.get_by_role("button", name="Sign with key"))
        expect(page.locator("#signature")).to_contain_text("Waiting for a worker to sign it")
        assert signatures.run_once(done.rl.signatures.get().pk) == "succeeded"
        expect(page.locator("#signature")).to_contain_text("signed")  # by itself, without a reload
        expect(page.locator("#signature details")).to_be_visible()
    finally:
        Path(settings.MODEL_SIGNING_KEY).unlink()


def test_two_checkpoints_are_asked_and_their_answers_make_a_scenario(page: Page, site: Site) -> None:
    """The answers are put there as the worker would: what it does with real weights is told in test_chats."""
    from playwright.sync_api import expect

    auditor = make_person("olu", Role.AUDITOR)
    done = finished_run(make_person("ada", Role.ENGINEER), newest(make_constitution(auditor)))
    site.sign_in(page.context, auditor)
    page.goto(site.at(reverse("training:chat") + f"?left={done.sft.pk}&right={done.rl.pk}"))
    _arrived(page, "Ask a checkpoint")
    page.get_by_label("Question").focus()
    page.keyboard.type("May I open her letter?")
    _press(page.get_by_role("button", name="Ask", exact=True))
    _arrived(page, "Asked")
    expect(page.locator("#answers")).to_contain_text("waiting for a worker")
    replies = {"left": {"text": "Put it back.", "tokens": 4, "finish": "stop"},
               "right": {"text": "Ask her first.", "tokens": 4, "finish": "stop"}}  # fmt: skip
    ChatTurn.objects.update(state="succeeded", replies=replies, finished_at=timezone.now())
    expect(page.locator("#answers")).to_contain_text("Ask her first.")  # by itself, without a reload
    _press(page.get_by_role("button", name="right should win"))
    page.get_by_role("heading", level=1).wait_for()
    assert (made := done.run.version.constitution.scenarios.get()).response_b == "Ask her first."
    assert (made.prompt, made.expected) == ("May I open her letter?", "b")


def _work(run: Run) -> None:
    try:
        run_once(run.pk, conduct=QUICK)
    finally:
        connection.close()


def _arrived(page: Page, title: str) -> None:
    """Waits until the page is there with its scripts, so that keys are heard."""
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    page.wait_for_load_state("load")


def _press(element: Locator) -> None:
    """As somebody does who has reached it with Tab."""
    element.focus()
    element.press("Enter")
