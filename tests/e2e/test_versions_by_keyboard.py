"""Comparing, merging and reading who wrote what, without a mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.models import Constitution
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, newest, principle_of
from tests.e2e.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture
def constitution(page: Page, site: Site) -> Constitution:
    """Version 2, on a branch, and the main draft changed the same word; their author sits in front of it."""
    author = make_person("ada", Role.AUTHOR)
    made = make_constitution(author)
    branch = actions.start_branch(user=author, version=newest(made), name="softer")
    for draft, word in ((branch, "sure"), (draft_of(made), "clear")):
        row = principle_of(made, "honesty", draft.branch)
        text = f"Say what is {word} and mark what is uncertain."
        actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": text})
    actions.publish_version(user=author, draft=draft_of(made, "softer"), note="Sure.")
    site.sign_in(page.context, author)
    return made


def test_a_conflict_is_decided_merged_compared_and_published(
    page: Page, site: Site, constitution: Constitution
) -> None:
    page.goto(site.at(reverse("constitutions:merge", args=["test"])))
    _tab_to(page, "See what it brings")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Merge v2 into the main draft").wait_for()
    page.keyboard.press("n")
    assert page.url.endswith("#conflict-1")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.value") == "theirs"
    _tab_to(page, "Merge into the draft")
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare/v1..draft/")
    assert principle_of(constitution, "honesty").text == "Say what is sure and mark what is uncertain."
    page.keyboard.press("n")
    assert page.url.endswith("#p-honesty")
    page.keyboard.press("s")
    page.locator(".pair.diff").first.wait_for()
    page.goto(site.at(reverse("constitutions:publish", args=["test"])))
    page.keyboard.type("Merged the softer tone.")
    _tab_to(page, "Publish version")
    page.keyboard.press("Enter")
    page.wait_for_url("**/v3/")
    assert str(newest(constitution).second_parent) == "v2"


def test_words_are_stepped_through_to_the_version_they_came_in_with(
    page: Page, site: Site, constitution: Constitution
) -> None:
    page.goto(site.at(reverse("constitutions:blame", args=["test", 2, "honesty"])))
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#test-v2")


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until the control with this text has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            return
    pytest.fail(f"Tab does not reach {name!r}.")
