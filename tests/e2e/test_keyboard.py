"""Without a mouse: reaching a text and writing it, judging labels and steps, the list of keys, menus."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from constitutions_app.access import Role
from tests.constitutions_app.factories import make_constitution, make_person, newest, principle_of
from tests.e2e.conftest import Site
from tests.training_app.factories import FinishedRun, finished_run
from training_app.models import Audit

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

FOCUSED = "document.activeElement.name || document.activeElement.textContent.trim()"
RING = (
    "(({outlineStyle, outlineWidth}) => outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2)(getComputedStyle(%s))"
)


@pytest.fixture
def done(page: Page, site: Site) -> FinishedRun:
    """A finished run, in front of an auditor who has opened the place where judging begins."""
    auditor = make_person("olu", Role.AUDITOR)
    done = finished_run(auditor, newest(make_constitution(auditor)))
    site.sign_in(page.context, auditor)
    _open(page, site, reverse("training:audit"))
    return done


def test_a_principle_is_reached_and_written_with_tab_alone(page: Page, site: Site) -> None:
    author = make_person("ada", Role.AUTHOR)
    constitution = make_constitution(author)
    site.sign_in(page.context, author)
    _open(page, site, reverse("constitutions:draft_principle", args=["test", "honesty"]))
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top >= 0"), "it shows when it is reached"
    page.keyboard.press("Enter")
    _tab_to(page, "text")
    page.keyboard.press("Control+End")
    page.keyboard.type(" Say so first. jk?p")
    page.locator("[data-autosave-status]", has_text=re.compile(r"^saved \d\d:\d\d:\d\d$")).wait_for()
    assert principle_of(constitution, "honesty").text.endswith(" Say so first. jk?p"), "keys are letters while typing"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.wait_for_url("**/principles/privacy/")


def test_labels_are_judged_one_after_the_other(page: Page, done: FinishedRun) -> None:
    newest_first = sorted(done.labels, key=lambda label: -label.pk)
    page.keyboard.press("l")
    _arrived(page, "AI labels")
    page.keyboard.press("Enter")
    _arrived(page, f"Label {newest_first[0].pk}")
    page.keyboard.press("n")
    page.keyboard.type("12 0 x j ?")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    _arrived(page, f"Label {newest_first[1].pk}")
    page.keyboard.press("2")
    _arrived(page, f"Label {newest_first[2].pk}")
    page.keyboard.press("0")
    _arrived(page, f"Label {newest_first[3].pk}")
    page.keyboard.press("k")
    _arrived(page, f"Label {newest_first[2].pk}")
    audits = Audit.objects.filter(label__in=newest_first).order_by("created_at")
    assert list(audits.values_list("label", "choice", "comment")) == [
        (newest_first[0].pk, "a", "12 0 x j ?"),
        (newest_first[1].pk, "b", ""),
        (newest_first[2].pk, "neither", ""),
    ]
    agreed = {audit.choice: audit.verdict == "agree" for audit in audits}
    ai = [label.ai_choice for label in newest_first]
    assert agreed == {"a": ai[0] == "a", "b": ai[1] == "b", "neither": False}


def test_steps_are_judged_round_after_round(page: Page, done: FinishedRun) -> None:
    trace = max(step.trace_id for step in done.steps)
    page.keyboard.press("t")
    _arrived(page, "Traces")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=re.compile(r"^Trace \d+"), level=1).wait_for()
    page.goto(re.sub(r"\d+/$", f"{trace}/", page.url))
    page.keyboard.press("a")
    page.locator(".notices", has_text=f"trace {trace}, round 1 saved").wait_for()
    page.wait_for_load_state("load")
    page.keyboard.press("x")
    page.locator(".notices", has_text=f"trace {trace}, round 2 saved").wait_for()
    audits = Audit.objects.order_by("created_at")
    assert list(audits.values_list("step__round", "verdict")) == [(1, "agree"), (2, "override")]


def test_the_keys_of_a_page_are_listed_where_they_work(page: Page, site: Site, done: FinishedRun) -> None:
    _open(page, site, reverse("training:label", args=[done.labels[1].pk]))
    before = page.url
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys on this page")
    dialog.wait_for()
    listed = dict(zip(dialog.locator("dt").all_inner_texts(), dialog.locator("dd").all_inner_texts(), strict=True))
    assert {
        "1": "Response A fits better",
        "2": "Response B fits better",
        "?": "Show this list",
    }.items() <= listed.items()
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert (page.url, Audit.objects.count()) == (before, 0), "no key works through an open dialog"


def test_the_menu_opens_and_closes_and_every_stop_is_visible(page: Page, site: Site, done: FinishedRun) -> None:
    _open(page, site, reverse("training:label", args=[done.labels[1].pk]))
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        seen.append(page.evaluate(FOCUSED))
        assert page.evaluate(RING % "document.activeElement"), f"no focus ring on {seen[-1]!r}"
    assert {"Constitutions", "reason", "comment"} <= set(seen)
    page.locator("details.menu summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out").wait_for(state="hidden")
    assert page.evaluate(FOCUSED) == "Olu"


def _open(page: Page, site: Site, path: str) -> None:
    page.goto(site.at(path))


def _arrived(page: Page, title: str) -> None:
    """Waits until the page is there with its scripts, so that keys are heard."""
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    page.wait_for_load_state("load")


def _tab_to(page: Page, name: str) -> None:
    """Presses Tab until a field has the focus, and fails where it takes more than a person would press."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == name:
            return
    pytest.fail(f"{name} is not reached with Tab")
