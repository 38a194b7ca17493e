"""The pages' scripts in a real browser, against answers made here: autosave, keys, themes, live fragments."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser
SITE = "http://writ.test"
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'"
FORM = """
<form class="form" id="principle" method="post" action="/save" data-autosave data-revision="7" data-autosave-key="p7">
<input type="hidden" name="csrfmiddlewaretoken" value="token"><input type="hidden" name="revision" value="7">
<div class="field"><label>Title <input name="title" value="Privacy"></label></div>
<div class="field"><label>Text <textarea name="text">Old words.</textarea></label></div>
<div class="field"><label>Rationale <textarea name="rationale">Because.</textarea></label></div>
<label><input type="checkbox" name="stages" value="revise" checked> revise</label>
<span data-autosave-status role="status"></span></form>"""
KEYS = """
<a href="#next" data-key="j" data-key-label="Next item">Next</a>
<label>Note <input name="note" data-key="n" data-key-label="Write a note"></label>
<button type="button" data-keys-open data-key="?" data-key-label="Show this list" hidden>Keys</button>
<ol><li data-step="change" id="c1">one</li><li data-step="change" id="c2">two</li></ol>
<button type="button" data-step-next="change" data-key="m">Next change</button><span data-step-count="change"></span>"""
LIVE = """
<div data-sse="/events" data-sse-after="41">
<p id="part" data-sse-refresh="progress" data-sse-every="50" hx-get="/part" hx-trigger="sse-refresh">old</p></div>"""
HTMX = """<meta name="htmx-config" content='{"allowEval": false, "includeIndicatorStyles": false}'>
<script src="/static/django_htmx/htmx-2.min.js" defer></script>"""
SAVED: dict[str, Any] = {"revision": 8, "saved_at": "2026-11-24T12:03:04Z"}
SHELL = ("_keys_dialog", "_conflict", "_theme")
SAID = "saved 12:03:04"


class Site:
    """Answers every request of the page; `answer` is what the next saves get, `saves` what they sent."""

    def __init__(self, page: Page, body: str) -> None:
        self.body = body
        self.saves: list[tuple[dict[str, str], dict[str, list[str]]]] = []
        self.answer: tuple[int, dict[str, Any]] = (200, SAVED)
        self.unfit: dict[str, list[str]] = {}
        """What is wrong with the words of a field: a save that has it is refused whole."""
        self.asked: list[str] = []
        page.route("**/*", self.serve)
        page.goto(f"{SITE}/")

    def serve(self, route: Route) -> None:
        request = route.request
        path = request.url.removeprefix(SITE).split("?")[0]
        self.asked.append(request.url.removeprefix(SITE))
        headers = {"Content-Security-Policy": POLICY}
        if path.startswith("/static/"):
            found = finders.find(path.removeprefix("/static/"))
            assert isinstance(found, str), path
            route.fulfill(path=Path(found))
        elif request.method == "POST":
            self.saves.append((request.headers, parse_qs(request.post_data or "", keep_blank_values=True)))
            sent = self.saves[-1][1]
            wrong = {name: said for name, said in self.unfit.items() if name in sent}
            status, data = (422, {"errors": wrong}) if wrong else self.answer
            route.fulfill(status=status, body=json.dumps(data), content_type="application/json")
        elif path == "/events":
            body = 'id: 42\nevent: progress\ndata: {"done": 1}\n\nid: 43\ndata: {"kind": "end"}\n\n'
            route.fulfill(body=body, content_type="text/event-stream")
        elif path == "/part":
            route.fulfill(body="new", content_type="text/html")
        else:
            shell = "".join(render_to_string(f"partials/{name}.html") for name in SHELL)
            head = f"<title>T</title>{render_to_string('partials/_assets.html')}{HTMX}"
            page = f"<head>{head}</head><body data-person=7>{self.body}{shell}</body>"
            html = f"<!DOCTYPE html><html lang=en>{page}</html>"
            route.fulfill(body=html, content_type="text/html", headers=headers)


def _status(page: Page, words: str | re.Pattern[str]) -> None:
    page.locator("[data-autosave-status]", has_text=words).wait_for()


def _kept(page: Page) -> int:
    return int(page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('writ-autosave')).length"))


def test_autosave_sends_what_changed_and_says_when_it_is_saved(page: Page) -> None:
    site = Site(page, FORM)
    page.fill("[name=title]", "Privacy of people")
    _status(page, SAID)
    headers, body = site.saves[-1]
    sent = {"revision": ["7"], "changed": ["title"], "title": ["Privacy of people"], "base": ['{"title":["Privacy"]}']}
    assert body == {**sent, "save": body["save"], "earlier": [""]}
    assert re.fullmatch(r"[0-9a-f]{24}", body["save"][0])
    assert (headers["if-match"], headers["x-autosave"], headers["x-csrftoken"]) == ('"7"', "1", "token")
    assert page.get_attribute("#principle", "data-revision") == "8"
    page.uncheck("[name=stages]")
    page.wait_for_timeout(800)
    assert site.saves[-1][1]["changed"] == ["stages"] and "stages" not in site.saves[-1][1]
    assert site.saves[-1][1]["revision"] == ["8"]


def test_words_survive_a_lost_connection_and_a_reload(page: Page) -> None:
    site = Site(page, FORM)
    site.answer = (503, {})
    page.fill("[name=text]", "Typed in a tunnel.")
    _status(page, "kept in this browser")
    page.reload()
    assert page.input_value("[name=text]") == "Typed in a tunnel."
    site.answer = (200, SAVED)
    _status(page, SAID)
    assert site.saves[-1][1]["text"] == ["Typed in a tunnel."]
    assert _kept(page) == 0


def test_a_stale_save_is_merged_where_only_one_side_changed(page: Page) -> None:
    from playwright.sync_api import expect

    site = Site(page, FORM)
    theirs = {"rationale": "Jonas wrote this.", "text": "Old words."}
    site.answer = (409, {"revision": 9, "by": "Jonas", "fields": theirs})
    page.fill("[name=text]", "Mine.")
    expect(page.locator("[name=rationale]")).to_have_value("Jonas wrote this.")
    site.answer = (200, SAVED)
    _status(page, SAID)
    again = site.saves[-1][1]
    assert (again["revision"], again["changed"], again["text"]) == (["9"], ["text"], ["Mine."])


def test_words_of_a_closed_page_are_sent_from_the_next_one_in_order(page: Page) -> None:
    site = Site(page, FORM)
    site.answer = (503, {})
    page.fill("[name=text]", "Typed in a tunnel.")
    page.fill("[name=title]", "Tunnels")
    _status(page, "2 changes waiting; they are kept in this browser")
    tried = [body["save"][0] for _, body in site.saves]
    site.body = "<p data-waiting role=status></p>"
    page.goto(f"{SITE}/elsewhere")
    page.locator("[data-waiting]", has_text="2 changes waiting; they are kept in this browser").wait_for()
    site.answer = (200, SAVED)
    page.evaluate("dispatchEvent(new Event('online'))")
    page.locator("[data-waiting]:empty").wait_for(state="attached")
    delivered = site.saves[-1][1]
    assert (delivered["text"], delivered["title"]) == (["Typed in a tunnel."], ["Tunnels"])
    assert set(tried) <= set(delivered["earlier"][0].split(",")), "the server can tell whether one of them arrived"
    assert _kept(page) == 0


def test_words_of_a_closed_page_that_need_a_decision_are_named(page: Page) -> None:
    site = Site(page, FORM)
    site.answer = (503, {})
    page.fill("[name=text]", "Typed in a tunnel.")
    _status(page, "1 change waiting")
    site.answer = (409, {"revision": 9, "by": "Jonas", "fields": {"text": "Theirs."}})
    site.body = "<p data-waiting role=status></p>"
    page.goto(f"{SITE}/elsewhere")
    page.locator("[data-waiting]", has_text="somebody changed the same words").wait_for()
    assert page.get_attribute("[data-waiting] a", "href") == "/"
    site.body = FORM
    page.click("[data-waiting] a")
    page.locator(".conflict", has_text="Theirs.").wait_for()
    assert page.input_value("[name=text]") == "Typed in a tunnel."


@pytest.mark.parametrize(("button", "kept"), [("[data-keep=mine]", "Mine."), ("[data-keep=theirs]", "Theirs.")])
def test_a_clash_shows_both_texts_and_loses_neither(page: Page, button: str, kept: str) -> None:
    site = Site(page, FORM)
    site.answer = (409, {"revision": 9, "by": "Jonas", "fields": {"text": "Theirs."}})
    page.fill("[name=text]", "Mine.")
    panel = page.locator(".conflict")
    panel.wait_for()
    assert "Jonas" in panel.inner_text()
    assert "Mine." in panel.inner_text()
    assert "Theirs." in panel.inner_text()
    site.answer = (200, SAVED)
    page.click(button)
    _status(page, re.compile(r"^saved \d"))  # their words are saved already: the time is this browser's
    assert page.input_value("[name=text]") == kept
    assert _kept(page) == 0


def test_a_refused_field_is_marked_and_a_better_one_unmarked(page: Page) -> None:
    site = Site(page, FORM)
    site.answer = (422, {"errors": {"title": ["A title has at most 200 characters."]}})
    page.fill("[name=title]", "Too long")
    page.locator(".error", has_text="at most 200").wait_for()
    assert page.get_attribute("[name=title]", "aria-invalid") == "true"
    site.answer = (200, SAVED)
    page.fill("[name=title]", "Short")
    _status(page, SAID)
    assert page.get_attribute("[name=title]", "aria-invalid") is None


def test_a_field_that_does_not_fit_holds_back_no_other(page: Page) -> None:
    site = Site(page, FORM)
    site.unfit = {"title": ["A title has at most 200 characters."]}
    page.fill("[name=title]", "Too long")
    page.fill("[name=text]", "Words that fit.")
    _status(page, re.compile(r"^saved 12:03:04; not saved: Title, see the mark"))
    assert site.saves[-1][1]["changed"] == ["text"]
    assert page.get_attribute("[name=title]", "aria-invalid") == "true"
    page.fill("[name=rationale]", "And more.")
    page.wait_for_timeout(900)
    assert site.saves[-1][1]["changed"] == ["rationale"]  # what was refused is not sent again as it was
    assert page.locator(".error").all_inner_texts() == ["A title has at most 200 characters."]
    assert _kept(page) == 1
    page.fill("[name=title]", "Privacy")  # as it is saved
    _status(page, "Everything is saved.")
    assert page.get_attribute("[name=title]", "aria-invalid") is None
    assert (page.locator(".error").count(), _kept(page)) == (0, 0)


def test_keys_press_and_are_ignored_while_typing(page: Page) -> None:
    Site(page, KEYS)
    page.keyboard.press("n")
    page.keyboard.type("jn?")
    assert page.input_value("[name=note]") == "jn?"
    assert page.url == f"{SITE}/"
    page.keyboard.press("Escape")
    page.keyboard.press("Control+j")
    assert page.url == f"{SITE}/"
    page.keyboard.press("j")
    page.wait_for_url("**/#next")
    page.keyboard.press("m")
    page.keyboard.press("m")
    assert page.inner_text("[data-step-count]") == "2 of 2"
    assert page.url.endswith("#c2")


def test_keys_are_listed_and_can_be_switched_off(page: Page) -> None:
    Site(page, KEYS)
    page.keyboard.press("?")
    page.locator("#keys[open]", has_text="Next item").wait_for()
    page.uncheck("[data-keys-switch]")
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("j")
    page.wait_for_timeout(100)
    assert page.url == f"{SITE}/"


def test_a_theme_is_chosen_and_remembered(page: Page) -> None:
    Site(page, "")
    page.check("[name=theme][value=dark]")
    page.reload()
    assert page.get_attribute("html", "data-theme") == "dark"
    page.check("[name=theme][value=system]")
    assert page.get_attribute("html", "data-theme") is None


def test_an_event_refreshes_the_fragment_that_asked_for_it_and_the_end_closes_the_stream(page: Page) -> None:
    site = Site(page, LIVE)
    page.locator("#part", has_text="new").wait_for()
    page.wait_for_timeout(3500)  # a browser reconnects after three seconds unless the stream was closed
    assert [url for url in site.asked if url.startswith("/events")] == ["/events?after=41"]
