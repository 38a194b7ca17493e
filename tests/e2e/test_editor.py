"""Writing, in a real browser: autosave, order by keys and by dragging, undo, publishing, comparing by keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from constitutions_app.models import Constitution
from tests.constitutions_app.factories import draft_of, newest, principle_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


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
    ada.get_by_text("Undone: “Do no harm” is back").wait_for()
    assert _keys(constitution) == ["honesty", "privacy", "kindness", "do-no-harm"]


def test_a_lifted_line_moves_with_the_arrow_keys_and_says_so(ada: Page, constitution: Constitution) -> None:
    ada.locator("[data-key-of=privacy] .grip").focus()
    ada.keyboard.press("Space")
    ada.locator("#announce", has_text="Privacy lifted, place 2 of 3").wait_for()
    ada.keyboard.press("ArrowUp")
    ada.locator("#announce", has_text="Privacy, place 1 of 3").wait_for()
    ada.keyboard.press("Escape")
    ada.locator("#announce", has_text="back at place 2").wait_for()
    assert _keys(constitution) == ["honesty", "privacy", "kindness"]
    ada.keyboard.press("Space")
    ada.keyboard.press("ArrowDown")
    ada.keyboard.press("Enter")
    ada.locator("#announce", has_text="Privacy moved from place 2 to 3").wait_for()
    assert _keys(constitution) == ["honesty", "kindness", "privacy"]
    assert ada.evaluate("document.activeElement.closest('li').dataset.keyOf") == "privacy"
    ada.keyboard.press("Escape")
    ada.keyboard.press("z")
    ada.get_by_text("Undone: the place of “Privacy”").wait_for()
    assert _keys(constitution) == ["honesty", "privacy", "kindness"]


@pytest.mark.parametrize("pointer", ["mouse", "touch"])
def test_a_line_is_dragged_to_its_place(ada: Page, constitution: Constitution, pointer: str) -> None:
    ada.hover("[data-key-of=honesty]")
    grip, goal = (ada.locator(f"[data-key-of={key}] .grip").bounding_box() for key in ("honesty", "kindness"))
    assert grip and goal
    x, start, end = grip["x"] + 8, grip["y"] + 8, goal["y"] + goal["height"] + 2
    if pointer == "mouse":
        ada.mouse.move(x, start)
        ada.mouse.down()
        ada.mouse.move(x, end, steps=6)
        ada.mouse.up()
    else:
        touch = ada.context.new_cdp_session(ada)
        points = [{"x": x, "y": start}], [{"x": x, "y": (start + end) / 2}], [{"x": x, "y": end}]
        for kind, where in zip(("touchStart", "touchMove", "touchMove"), points, strict=True):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    ada.locator("#announce", has_text="Honesty moved from place 1 to 3").wait_for(state="attached")
    assert _keys(constitution) == ["privacy", "kindness", "honesty"]


def test_undo_and_redo_by_keys_and_retiring_keeps_the_words(ada: Page, constitution: Constitution) -> None:
    before = principle_of(constitution, "privacy").text
    ada.fill("#id_text", "Other words.")
    _saved(ada)
    ada.keyboard.press("Escape")
    ada.keyboard.press("z")
    ada.get_by_text("Undone: text of “Privacy”").wait_for()
    assert (ada.input_value("#id_text"), principle_of(constitution, "privacy").text) == (before, before)
    ada.keyboard.press("Shift+Z")
    ada.get_by_text("Done again: text of “Privacy”").wait_for()
    assert principle_of(constitution, "privacy").text == "Other words."
    ada.get_by_role("button", name="Retire").press("Enter")
    ada.get_by_text("Retired: its words are kept").wait_for()
    ada.locator("#outline-list a[aria-current]", has_text="retired").wait_for()
    assert (principle_of(constitution, "privacy").enabled, principle_of(constitution, "privacy").text) == (
        False,
        "Other words.",
    )
    ada.get_by_role("button", name="Use again").press("Enter")
    ada.get_by_text("In use again").wait_for()
    ada.get_by_role("button", name="Duplicate").press("Enter")
    ada.wait_for_url("**/privacy-2/")
    assert _keys(constitution) == ["honesty", "privacy", "privacy-2", "kindness"]


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
