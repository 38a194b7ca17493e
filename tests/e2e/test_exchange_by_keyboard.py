"""Importing, linking, exporting, writing a scenario, searching and reading the activity, without a mouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from constitutions_app.actions import keep_upload
from constitutions_app.core.interchange import read
from constitutions_app.models import Constitution, Scenario
from tests.e2e.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

POLIS = "comment-id,comment-body,agrees,moderated\n1,AI should be clear.,5,1\n2,Not this.,1,-1\n"
PAIRS = b'{"harm": {"prompt": ["Say what harms."], "edit_request": "Take the harm out."}}'
QUESTIONS = b'["Which harms less? Options:", "Which is truer? Options:"]'


def test_a_file_comes_in_and_goes_out(page: Page, site: Site, author: User) -> None:
    site.sign_in(page.context, author)
    page.goto(site.at(reverse("constitutions:import")))
    _tab_to(page, "text")
    page.keyboard.insert_text(POLIS)
    _press(page, "Read the file")
    page.get_by_text("This comment was moderated out.").wait_for()
    _press(page, "Make a constitution of it")
    page.locator(".notices").wait_for()
    made = Constitution.objects.get()
    page.goto(site.at(reverse("constitutions:draft_preamble", args=[made.slug])))
    _tab_to(page, "Export")
    page.keyboard.press("Enter")
    _tab_to(page, "YAML")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    found = read(Path(download.value.path()), "yaml")
    assert found.constitution == made.draft.to_core()


def test_two_lists_are_linked(page: Page, site: Site, author: User) -> None:
    upload = keep_upload(user=author, name="pairs.json", data=PAIRS, link=(QUESTIONS, "questions.json"))
    site.sign_in(page.context, author)
    page.goto(site.at(reverse("constitutions:import_preview", args=[upload.pk])))
    page.keyboard.press("l")
    page.get_by_role("heading", name="Link the two lists").wait_for()
    _tab_to(page, "question-0")
    page.keyboard.press("ArrowDown")
    _tab_to(page, "confirmed-0")
    page.keyboard.press("Space")
    _press(page, "Keep the links")
    page.wait_for_url(f"**/import/{upload.pk}/")
    upload.refresh_from_db()
    assert upload.choices == {"harm": {"question": 1, "confirmed": True}}


def test_a_scenario_is_written_found_and_told(page: Page, site: Site, author: User, constitution: Constitution) -> None:
    site.sign_in(page.context, author)
    page.goto(site.at(reverse("constitutions:scenarios", args=["test"])))
    page.keyboard.press("c")
    page.get_by_role("heading", name="New scenario").wait_for()
    _tab_to(page, "title")
    page.keyboard.type("A zebra at home")
    _tab_to(page, "prompt")
    page.keyboard.type("Where does my zebra live?")
    _press(page, "Keep scenario")
    page.locator(".notices", has_text="is kept").wait_for()
    assert Scenario.objects.get().prompt == "Where does my zebra live?"
    page.keyboard.press("/")
    page.keyboard.type("zebra")
    page.keyboard.press("Enter")
    page.get_by_text("1 hit.").wait_for()
    _press(page, "A zebra at home")
    page.wait_for_url("**/scenarios/*/")
    page.goto(site.at(reverse("constitutions:activity", args=["test"])))
    _tab_to(page, "verb")
    page.keyboard.type("wrote a scenario")
    page.keyboard.press("Enter")
    page.wait_for_url("**verb=scenario.create**")
    page.get_by_text("A zebra at home").wait_for()


def _press(page: Page, name: str) -> None:
    _tab_to(page, name)
    page.keyboard.press("Enter")


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until the control with this name or text has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()") == name:
            return
    pytest.fail(f"Tab does not reach {name!r}.")
