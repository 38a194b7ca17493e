"""Without a mouse: a run is launched, cancelled, resumed and watched to its end; two runs are compared."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.urls import reverse

from constitutions_app.access import Role
from tests.constitutions_app.factories import make_constitution, make_person, newest
from tests.e2e.conftest import Site
from tests.training_app.factories import finished_run
from tests.training_app.scenes import QUICK, comparisons, helpful, red_team
from training_app.models import Run
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
