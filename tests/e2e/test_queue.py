"""Judging in a queue with the keyboard alone, through the outbox: thirty items, an undo, a lost connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from constitutions_app.access import Role
from tests.constitutions_app.factories import make_person
from tests.e2e.conftest import Site
from tests.training_app.factories import RED_TEAM, finished_run
from tests.training_app.queue_scenes import queue_of
from training_app.models import Audit, AuditQueue, Reservation

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

ITEMS = 30
BLIND = "[data-blind]"
REVEALED = "#audit-part[data-reservation]:not([data-blind]) form[data-advances]"


@pytest.fixture
def olu(page: Page, site: Site) -> User:
    olu = make_person("olu", Role.AUDITOR)
    site.sign_in(page.context, olu)
    return olu


@pytest.fixture
def queue(olu: User) -> AuditQueue:
    """Thirty labels, and a few more that stay."""
    prompts = [f"{text} ({place})" for place in range(6) for text in RED_TEAM]
    finished_run(olu, red_team=prompts, helpful=("Why does bread rise?",))
    return queue_of(size=ITEMS)


def test_thirty_items_are_judged_without_a_mouse(page: Page, site: Site, olu: User, queue: AuditQueue) -> None:
    page.goto(site.at(reverse("training:queue", args=[queue.pk])))
    page.keyboard.press("Enter")
    page.locator(BLIND).wait_for()
    page.wait_for_load_state("load")
    for place in range(ITEMS):
        page.locator(BLIND).wait_for()
        assert page.locator("text=AI preferred").count() == 0
        page.keyboard.press("120"[place % 3])
        page.locator(REVEALED).wait_for()
        if place == 3:
            page.keyboard.press("x")
            page.keyboard.type("misread")
            page.keyboard.press("Escape")
            page.keyboard.press("n")
            page.keyboard.type("12 0 j k u are letters while typing")
            page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        page.locator("[data-outbox-status]", has_text=re.compile(r"^saved \d\d:\d\d:\d\d$")).wait_for()
    page.get_by_text("Everything in it is decided.").wait_for()
    assert Audit.objects.filter(auditor=olu, blind=True).count() == ITEMS == Reservation.objects.count()
    noted = Audit.objects.get(reason="misread")
    assert noted.comment == "12 0 j k u are letters while typing"
    assert not Reservation.objects.filter(seconds=None).exists()
    page.keyboard.press("u")
    page.get_by_role("heading", name="Keep or change", level=1).wait_for()
    assert Audit.objects.order_by("-created_at")[0].verdict == "withdraw"
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.get_by_text("Everything in it is decided.").wait_for()
    queue.refresh_from_db()
    assert queue.decisions == ITEMS


def test_a_lost_connection_loses_no_decision(page: Page, site: Site, olu: User, queue: AuditQueue) -> None:
    page.goto(site.at(reverse("training:queue", args=[queue.pk])))
    page.keyboard.press("Enter")
    with page.expect_response(re.compile("/take/")):
        page.locator(BLIND).wait_for()
    page.keyboard.press("1")
    page.locator(REVEALED).wait_for()
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    page.locator("[data-outbox-status]", has_text="1 waiting in this browser").wait_for()
    page.locator(BLIND).wait_for()  # the next item was here already
    assert not Audit.objects.exists()
    page.keyboard.press("2")
    page.locator("[data-outbox-status]", has_text="2 waiting in this browser").wait_for()
    page.context.set_offline(False)
    page.locator(REVEALED).wait_for()
    page.locator("[data-outbox-status]", has_text="saved").wait_for()
    assert Audit.objects.count() == 1
    assert Reservation.objects.exclude(choice="").count() == 2


def test_who_is_signed_out_meanwhile_loses_no_decision(page: Page, site: Site, olu: User, queue: AuditQueue) -> None:
    page.goto(site.at(reverse("training:queue", args=[queue.pk])))
    page.keyboard.press("Enter")
    page.locator(BLIND).wait_for()
    page.keyboard.press("1")
    page.locator(REVEALED).wait_for()
    page.context.clear_cookies()  # the session ends; with the next one comes another token
    page.keyboard.press("Enter")
    page.locator("[data-outbox-status]", has_text="Sign in again in another tab").wait_for()
    assert not Audit.objects.exists()
    site.sign_in(page.context, olu)
    page.context.new_page().goto(site.at("/"))
    page.locator("[data-outbox-status]", has_text=re.compile(r"^saved (\d\d:|from another tab)")).wait_for()
    assert Audit.objects.count() == 1
