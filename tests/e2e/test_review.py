"""Reviewing in a real browser: by keyboard alone, and two people when a suggestion's words change under it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.models import Constitution, Suggestion, Thread, Verdict
from constitutions_app.reviewing import Rules
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, newest, principle_of
from tests.e2e.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

REVIEW = reverse("constitutions:review", args=["test"])
WORDS = "Say 👍 what is true and mark clearly what is uncertain."


@pytest.fixture
def constitution(author: User) -> Constitution:
    """One approval is required; the draft's first principle was edited and its author asks for a review."""
    made = make_constitution(author)
    actions.change_rules(user=author, constitution=made, rules=Rules(1, True))
    row = principle_of(made, "honesty")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": WORDS})
    actions.request_review(user=author, draft=draft_of(made))
    return made


@pytest.fixture
def rex(page: Page, site: Site, constitution: Constitution) -> Page:
    """The reviewer's browser, on the review page."""
    site.sign_in(page.context, make_person("rex", Role.REVIEWER))
    page.goto(site.at(REVIEW))
    return page


@pytest.fixture
def ada(browser: Browser, site: Site, author: User, constitution: Constitution) -> Iterator[Page]:
    """The author's, in a browser profile of her own."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    site.sign_in(context, author)
    yield context.new_page()
    context.close()


def _select(page: Page, words: str) -> None:
    """Selects words of the first principle's diff, as a mouse or a caret would."""
    script = """([place, words]) => {
        const element = document.querySelector(`[data-words-of="${place}"]`);
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const at = node.data.indexOf(words);
            if (at >= 0 && !node.parentElement.closest("del")) {
                getSelection().setBaseAndExtent(node, at, node, at + words.length);
                return true;
            }
        }
        return false;
    }"""
    assert page.evaluate(script, ["honesty:text", words])


def test_a_review_by_keyboard_alone(rex: Page, ada: Page, site: Site, constitution: Constitution) -> None:
    rex.keyboard.press("n")
    rex.wait_for_url("**#p-honesty")
    rex.keyboard.press("t")
    assert rex.evaluate("document.activeElement.name") == "quote", "the change that n reached is the place"
    rex.keyboard.type("mark clearly")
    rex.keyboard.press("Tab")
    rex.keyboard.type("Clearly for whom? jk?pt")
    rex.keyboard.press("Tab")
    rex.keyboard.press("Tab")
    rex.keyboard.type("mark")
    rex.keyboard.press("Tab")
    rex.keyboard.press("Enter")
    rex.wait_for_url("**#thread-*")
    thread = Thread.objects.get()
    assert (thread.key, thread.quote) == ("honesty", "mark clearly")
    assert (thread.comments.get().body, Suggestion.objects.get().replacement) == ("Clearly for whom? jk?pt", "mark")
    rex.get_by_text("1 thread is not resolved.").wait_for()

    ada.goto(site.at(reverse("notifications")))
    ada.get_by_text("Rex wrote in a thread on Test").first.wait_for()
    ada.keyboard.press("o")
    ada.wait_for_url(f"**/threads/{thread.pk}/")
    ada.get_by_role("button", name="Apply").focus()
    ada.keyboard.press("Enter")
    ada.get_by_text("The suggestion is in the draft, with credit.").wait_for()
    ada.get_by_role("button", name="Resolve").focus()
    ada.keyboard.press("Enter")
    ada.get_by_text("The thread is resolved.").wait_for()

    rex.goto(site.at(REVIEW))
    rex.keyboard.press("c")
    rex.get_by_label("Approve").focus()
    rex.keyboard.press("Space")
    rex.keyboard.press("Tab")
    rex.keyboard.press("Tab")
    rex.keyboard.press("Enter")
    rex.get_by_text("Your verdict is saved.").wait_for()
    assert Verdict.objects.get().word == "approve"

    ada.goto(site.at(reverse("constitutions:publish", args=["test"])))
    ada.fill("#id_note", "Marks what is uncertain.")
    ada.get_by_role("button", name="Publish version").click()
    ada.wait_for_url("**/v2/")
    ada.get_by_role("link", name="Rex").wait_for()
    assert newest(constitution).to_core().principles[0].text == WORDS.replace(" clearly", "")


def test_a_thread_on_what_is_selected(rex: Page) -> None:
    _select(rex, "is uncertain")
    rex.keyboard.press("t")
    assert rex.evaluate("document.activeElement.name") == "body"
    rex.keyboard.type("How uncertain?")
    rex.get_by_role("button", name="Open thread").click()
    rex.wait_for_url("**#thread-*")
    thread = Thread.objects.get()
    assert (thread.quote, thread.start) == ("is uncertain", WORDS.index("is uncertain")), "behind an emoji too"
    rex.locator("mark", has_text="is uncertain").wait_for()


def test_a_suggestion_accepted_while_its_words_changed_loses_nothing(
    rex: Page, ada: Page, site: Site, constitution: Constitution
) -> None:
    _select(rex, "what is uncertain")
    rex.keyboard.press("t")
    rex.fill("#id_replacement", "what is not certain")
    rex.get_by_role("button", name="Open thread").click()
    rex.wait_for_url("**#thread-*")
    ada.goto(site.at(REVIEW))
    # Ada's page shows the suggestion; meanwhile another author edits the very words it is for.
    grace = make_person("grace", Role.AUTHOR)
    row = principle_of(constitution, "honesty")
    text = WORDS.replace("what is uncertain", "whatever is uncertain")
    actions.edit_principle(user=grace, principle=row, expected=row.revision, changes={"text": text})

    ada.get_by_role("button", name="Apply").click()
    ada.get_by_role("heading", name="These words changed meanwhile").wait_for()
    assert principle_of(constitution, "honesty").text == text, "nothing was overwritten"
    assert Suggestion.objects.get().state == "open"
    for words in ("what is uncertain", "whatever", "not certain"):
        ada.get_by_text(words).first.wait_for()
    assert ada.input_value("#id_words") == "whatever is not certain", "both changes in one text"
    ada.get_by_role("button", name="Apply these words").click()
    ada.get_by_text("The suggestion is in the draft, with credit.").wait_for()
    assert "whatever is not certain." in principle_of(constitution, "honesty").text

    rex.goto(site.at(reverse("notifications")))
    rex.get_by_text("Ada applied your suggestion in Test").first.wait_for()
    rex.goto(site.at(reverse("constitutions:thread", args=["test", Thread.objects.get().pk])))
    rex.get_by_text("Applied by Ada").wait_for()


def test_threads_stand_beside_the_principle_in_the_editor(ada: Page, site: Site, constitution: Constitution) -> None:
    ada.goto(site.at(reverse("constitutions:draft_principle", args=["test", "honesty"])))
    ada.get_by_text("Nobody has commented here.").wait_for()
    ada.evaluate("document.querySelector('#id_text').focus()")
    at = WORDS.encode("utf-16-le").index("true".encode("utf-16-le")) // 2
    ada.evaluate(f"document.querySelector('#id_text').setSelectionRange({at}, {at + 4})")
    ada.get_by_text("Comment on words").click()
    threads = ada.locator("#threads")
    assert threads.locator("[name=quote]").input_value() == "true"
    threads.locator("[name=body]").fill("Is it?")
    threads.get_by_role("button", name="Open thread").click()
    ada.locator("#threads .comment-text", has_text="Is it?").wait_for()
    assert Thread.objects.get().quote == "true"
