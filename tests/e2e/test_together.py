"""Two people in one draft, each in a browser of their own: nothing is lost, and both can see why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import User
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.models import Constitution
from tests.constitutions_app.factories import make_person, principle_of
from tests.e2e.conftest import Site
from tests.e2e.test_accessible import RULES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

BASE = "Do not help to track people who have not agreed to it."
"""What the principle about privacy says when both open it."""


@pytest.fixture
def grace(browser: Browser, site: Site, constitution: Constitution) -> Iterator[Page]:
    """The second author's, in a browser profile of her own, on the same principle. Her name is an attack."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    person = make_person("grace", Role.AUTHOR)
    person.first_name = "Grace <b>\u202eecarg</b>"
    person.save()
    site.sign_in(context, person)
    page = context.new_page()
    page.goto(site.editor())
    yield page
    context.close()


def _saved(page: Page, words: str = "") -> None:
    pattern = re.compile(rf"^saved \d\d:\d\d:\d\d{words}")
    page.locator("[data-autosave-status]", has_text=pattern).wait_for()


def _text(constitution: Constitution) -> str:
    return principle_of(constitution, "privacy").text


def _holds(page: Page, selector: str, value: str) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_value(value, timeout=8_000)


def test_they_see_each_other_and_what_the_other_saves(ada: Page, grace: Page, site: Site) -> None:
    ada.locator("[data-here]", has_text="is here too, on this page").wait_for()
    ada.locator("[data-key-of=privacy] .here", has_text="Grace <b>U+202Eecarg</b>").wait_for()
    grace.fill("#id_rationale", "Grace's reason.")
    _saved(grace)
    ada.locator("#id_text").focus()
    _holds(ada, "#id_rationale", "Grace's reason.")
    ada.locator("[data-news]", has_text="saved Rationale; the new words are shown here").wait_for()
    grace.goto(site.editor("honesty"))
    ada.locator("[data-here]", has_text="is at Honesty").wait_for()
    ada.locator("[data-key-of=honesty] .here").wait_for()
    grace.fill("#id_title", "Truthfulness")
    ada.locator("[data-key-of=honesty]", has_text="Truthfulness").wait_for()
    ada.locator("[data-key-of=honesty] .dot").wait_for()


def test_different_words_of_one_principle_stand_together(ada: Page, grace: Page, constitution: Constitution) -> None:
    """Both write in the same field before either has heard of the other."""
    ada.fill("#id_text", BASE.replace("Do not help", "Refuse to help"))
    grace.fill("#id_text", BASE.replace("agreed to it", "agreed to it first"))
    both = "Refuse to help to track people who have not agreed to it first."
    _holds(ada, "#id_text", both)
    _holds(grace, "#id_text", both)
    assert _text(constitution) == both
    told = [page.locator("[data-autosave-status], [data-news]").all_inner_texts() for page in (ada, grace)]
    assert any("both stand in Principle" in words for page in told for words in page), told


def test_the_same_words_are_shown_three_ways_and_the_person_decides(
    ada: Page, grace: Page, constitution: Constitution
) -> None:
    attack = "<script>alert(1)</script>"
    ada.route("**/here/", lambda route: route.abort())
    grace.fill("#id_text", BASE.replace("track", attack))
    _saved(grace)
    ada.fill("#id_text", BASE.replace("track", "follow").replace("it.", "it, ever."))
    panel = ada.locator(".conflict")
    panel.get_by_text("changed the same words while you were writing").wait_for()
    marks = [panel.locator(f"{tag}").all_inner_texts() for tag in ("del", "ins")]
    assert [mark.strip() for mark in marks[0]] == ["track", "track"], "both sides against what they began from"
    assert attack in " ".join(marks[1]) and "follow" in " ".join(marks[1])
    assert panel.locator("script").count() == 0
    assert "Grace <b>U+202Eecarg</b>" in panel.inner_text()
    assert attack in _text(constitution), "nothing was overwritten"
    ada.evaluate(AXE_SCRIPT)
    broken = ada.evaluate("async (rules) => (await axe.run({runOnly: rules})).violations.map((one) => one.id)", RULES)
    assert not broken
    ada.fill("#id_rationale", "Saved beside it.")
    _saved(ada, "; the words that both of you changed wait for your choice")
    assert principle_of(constitution, "privacy").rationale == "Saved beside it."
    panel.get_by_role("button", name="Keep both").press("Enter")
    _saved(ada)
    assert _text(constitution) == (f"Do not help to follow {attack} people who have not agreed to it, ever.")
    _holds(grace, "#id_text", _text(constitution))


def test_a_lost_connection_while_typing_loses_nothing(ada: Page, grace: Page, constitution: Constitution) -> None:
    """The first save arrives and its answer does not; more is typed offline; the other author saves meanwhile."""
    dropped: list[str] = []

    def lose_the_answer(route: Route) -> None:
        if route.request.method == "POST" and not dropped:
            route.fetch()
            dropped.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    ada.route("**/principles/privacy/", lose_the_answer)
    ada.fill("#id_text", f"{BASE} Ask first.")
    ada.locator("[data-autosave-status]", has_text="1 change waiting; it is kept in this browser").wait_for()
    ada.context.set_offline(True)
    ada.locator("#id_text").press("End")
    ada.keyboard.press("Control+End")
    ada.keyboard.type(" Then wait.")
    ada.fill("#id_rationale", "Written on a train.")
    ada.locator("[data-autosave-status]", has_text="2 changes waiting; they are kept in this browser").wait_for()
    _holds(grace, "#id_text", f"{BASE} Ask first.")
    grace.fill("#id_text", f"{BASE.replace('Do not', 'Never')} Ask first.")
    _saved(grace)
    ada.context.set_offline(False)
    _saved(ada, "; Grace .* both stand in Principle")
    whole = f"{BASE.replace('Do not', 'Never')} Ask first. Then wait."
    assert (_text(constitution), ada.input_value("#id_text")) == (whole, whole)
    assert principle_of(constitution, "privacy").rationale == "Written on a train."
    _holds(grace, "#id_text", whole)


def test_a_closed_tab_keeps_its_words_and_the_next_page_sends_them(
    ada: Page, author: User, site: Site, constitution: Constitution
) -> None:
    ada.context.set_offline(True)
    ada.fill("#id_text", "Written on a train.")
    ada.locator("[data-autosave-status]", has_text="1 change waiting").wait_for()
    other = ada.context.new_page()
    ada.close()
    other.context.set_offline(False)
    other.goto(site.at(reverse("ledger")))
    other.get_by_role("heading", level=1).wait_for()
    other.goto(site.editor())
    _holds(other, "#id_text", "Written on a train.")
    assert _text(constitution) == "Written on a train."


def test_what_a_page_shows_is_never_replaced_under_the_caret(
    ada: Page, author: User, constitution: Constitution
) -> None:
    """Somebody adds words at the beginning; the caret stays behind the word it stood at."""
    ada.locator("#id_text").press("Control+End")
    row = principle_of(constitution, "privacy")
    actions.edit_principle(
        user=make_person("olu", Role.AUTHOR), principle=row, expected=row.revision, changes={"text": f"Please. {BASE}"}
    )
    _holds(ada, "#id_text", f"Please. {BASE}")
    ada.keyboard.type(" Mine.")
    _saved(ada)
    assert _text(constitution) == f"Please. {BASE} Mine."
