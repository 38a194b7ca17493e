"""Writing, in a real browser: two authors at once, a lost connection, order, undo, publishing, comparing by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from constitutions_app.access import Role
from constitutions_app.models import Constitution
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, newest, principle_of
from tests.e2e.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


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
    page.goto(_editor(site))
    return page


@pytest.fixture
def grace(browser: Browser, site: Site, constitution: Constitution) -> Iterator[Page]:
    """The second author's, in a browser profile of her own, on the same principle."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    site.sign_in(context, make_person("grace", Role.AUTHOR))
    page = context.new_page()
    page.goto(_editor(site))
    yield page
    context.close()


def _editor(site: Site, key: str = "privacy") -> str:
    return site.at(reverse("constitutions:draft_principle", args=["test", key]))


def _saved(page: Page) -> None:
    page.locator("[data-autosave-status]", has_text=re.compile(r"^saved \d\d:\d\d:\d\d$")).wait_for()


def _keys(constitution: Constitution) -> list[str]:
    return list(draft_of(constitution).principles.values_list("key", flat=True))


def test_what_is_typed_is_saved_and_shown_as_it_will_be_sent(ada: Page, constitution: Constitution) -> None:
    ada.fill("#id_text", "Guard what people have not made public.")
    ada.locator("#sent .sent", has_text="Guard what people").first.wait_for()
    _saved(ada)
    assert principle_of(constitution, "privacy").text == "Guard what people have not made public."
    ada.fill("#id_title", "Private things")
    ada.locator("#outline-list a[aria-current]", has_text="Private things").wait_for()
    ada.get_by_role("button", name="Show the whole prompt").click()
    ada.locator("#whole-prompt", has_text="Guard what people").wait_for()


def test_two_authors_lose_nothing(ada: Page, grace: Page, constitution: Constitution) -> None:
    ada.fill("#id_text", "Ada's words.")
    _saved(ada)
    grace.fill("#id_rationale", "Grace's reason.")
    _saved(grace)
    row = principle_of(constitution, "privacy")
    assert (row.text, row.rationale) == ("Ada's words.", "Grace's reason."), "different fields are merged"
    assert grace.input_value("#id_text") == "Ada's words."

    grace.fill("#id_text", "Grace's words.")
    _saved(grace)
    ada.fill("#id_text", "Ada's second words.")
    clash = ada.locator(".conflict")
    clash.get_by_text("Grace's words.").wait_for()
    clash.get_by_text("Ada's second words.").wait_for()
    assert principle_of(constitution, "privacy").text == "Grace's words."
    ada.locator("[data-keep-mine]").click()
    _saved(ada)
    assert principle_of(constitution, "privacy").text == "Ada's second words."


def test_words_typed_without_a_connection_are_saved_when_it_is_back(ada: Page, constitution: Constitution) -> None:
    ada.context.set_offline(True)
    ada.fill("#id_text", "Written on a train.")
    ada.locator("[data-autosave-status]", has_text="kept in this browser").wait_for()
    assert principle_of(constitution, "privacy").text != "Written on a train."
    ada.context.set_offline(False)
    _saved(ada)
    assert principle_of(constitution, "privacy").text == "Written on a train."


def test_order_and_removal_by_keyboard_alone(ada: Page, constitution: Constitution) -> None:
    ada.keyboard.press("Shift+K")
    ada.locator("#outline-list a[aria-current]", has_text=re.compile(r"^\s*1\s+Privacy")).wait_for()
    assert _keys(constitution) == ["privacy", "honesty", "kindness"]
    ada.keyboard.press("Shift+J")
    ada.locator("#outline-list a[aria-current]", has_text=re.compile(r"^\s*2\s+Privacy")).wait_for()
    ada.keyboard.press("c")
    ada.keyboard.type("Do no harm")
    ada.keyboard.press("Enter")
    ada.wait_for_url("**/do-no-harm/")
    ada.get_by_role("button", name="Remove principle").focus()
    ada.keyboard.press("Enter")
    ada.wait_for_url("**?removed=*")
    assert _keys(constitution) == ["honesty", "privacy", "kindness"]
    ada.keyboard.press("z")
    ada.wait_for_url("**/do-no-harm/")
    assert _keys(constitution) == ["honesty", "privacy", "kindness", "do-no-harm"]


def test_publishing_and_comparing_by_keyboard(ada: Page, constitution: Constitution) -> None:
    ada.fill("#id_text", "Guard what people have not made public.")
    _saved(ada)
    ada.keyboard.press("Escape")
    ada.keyboard.press("p")
    ada.wait_for_url("**/publish/")
    ada.get_by_role("button", name="Publish version").click()
    ada.get_by_text("needs a change note").wait_for()
    ada.fill("#id_note", "Says what to guard.")
    ada.get_by_role("button", name="Publish version").click()
    ada.wait_for_url("**/v2/")
    ada.get_by_text(newest(constitution).digest).first.wait_for()
    ada.keyboard.press("d")
    ada.wait_for_url("**/compare/v1..v2/")
    ada.keyboard.press("n")
    ada.wait_for_url("**#p-privacy")
    ada.keyboard.press("s")
    ada.wait_for_url("**?view=side-by-side")
