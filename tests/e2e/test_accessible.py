"""Every kind of page, measured: no rule of axe broken, nothing wider than a phone, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.e2e.conftest import Site
from tests.e2e.scene import (
    Scene,
    constitution_pages,
    exchange_pages,
    make_scene,
    outside_pages,
    people_pages,
    queue_pages,
    reader_pages,
    review_pages,
    training_pages,
)

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYTHING: dict[str, Any] = {"runOnly": RULES, "resultTypes": ["violations"]}
COLOURS: dict[str, Any] = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
LOOKS = (("light", WIDE, EVERYTHING), ("dark", WIDE, COLOURS), ("dark", NARROW, EVERYTHING), ("light", NARROW, COLOURS))
"""What depends on colour is measured in all four; what depends on layout once wide and once narrow."""

Pages = Callable[[Scene], dict[str, str]]


@pytest.mark.parametrize(
    ("pages", "who"),
    [
        (constitution_pages, "admin"),
        (exchange_pages, "admin"),
        (review_pages, "admin"),
        (training_pages, "admin"),
        (queue_pages, "auditor"),
        (people_pages, "admin"),
        (reader_pages, "reader"),
        (outside_pages, None),
    ],
)
def test_every_page_is_accessible_and_fits(page: Page, site: Site, models: Path, pages: Pages, who: str | None) -> None:
    scene = make_scene()
    if who:
        site.sign_in(page.context, getattr(scene, who))
    problems = {name: found for name, path in pages(scene).items() if (found := _problems(page, site.at(path)))}
    assert not problems, "\n".join(f"{name}: {line}" for name, lines in problems.items() for line in lines)


def _problems(page: Page, address: str) -> list[str]:
    """What is wrong with one page, in all its looks."""
    found = []
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(address)
    _settle(page)
    page.evaluate(AXE_SCRIPT)
    for theme, size, options in LOOKS:
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        look = f"{theme}, {size['width']} px"
        found += [f"{look}: {broken}" for broken in _broken_rules(page, options)]
        if (width := page.evaluate("document.documentElement.scrollWidth")) > size["width"]:
            found.append(f"{look}: the page is {width} px wide: {_widest(page)}")
    return found


def _broken_rules(page: Page, options: dict[str, Any]) -> list[str]:
    """The rules that the page breaks as it stands, each with an element that breaks it."""
    violations = page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return [f"{rule['id']}: {node['html'][:160]}" for rule in violations for node in rule["nodes"]]


def _settle(page: Page) -> None:
    """Waits for the fragments that a page fetches when it is loaded."""
    from playwright.sync_api import expect

    expect(page.locator(".htmx-request, [hx-trigger=load]:has-text('loading…')")).to_have_count(0)


def _widest(page: Page) -> str:
    """The innermost element that reaches beyond the page's right edge."""
    script = """() => {
        const isWide = (element) => element.getBoundingClientRect().right > innerWidth + 1;
        const wide = [...document.querySelectorAll("main *")].filter(isWide);
        return wide.length ? wide.at(-1).outerHTML.slice(0, 160) : "";
    }"""
    return str(page.evaluate(script))
