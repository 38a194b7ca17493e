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

    from playwright.sync_api import Page, ViewportSize

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600), pytest.mark.xdist_group("accessible")]

WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYTHING: dict[str, Any] = {"runOnly": RULES, "resultTypes": ["violations"]}
COLOURS: dict[str, Any] = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
WHOLE = (("light", WIDE), ("dark", NARROW))
"""Looks in which every rule is asked of every element: layout and both sets of colours are measured."""
OTHER = (("light", NARROW), ("dark", WIDE))
"""Looks in which the colours of those elements are measured that did not look so in the same theme before."""
REMEMBER = """(theme) => {
    window.lookedSo ??= {};
    const before = window.lookedSo[theme] ?? new Map();
    const now = new Map();
    for (const element of document.body.querySelectorAll("*")) {
        if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        const style = getComputedStyle(element);
        const colours = [style.color, style.backgroundColor, style.backgroundImage, style.opacity, style.textShadow];
        const large = parseFloat(style.fontSize) >= (parseInt(style.fontWeight) >= 700 ? 18.66 : 24);
        now.set(element, [...colours, style.textDecorationLine, style.fontWeight, large].join());
    }
    window.lookedSo[theme] = now;
    window.looksNew = [...now.keys()].filter((element) => before.get(element) !== now.get(element));
}"""
"""Keeps what contrast depends on, of every element that is seen, and finds those for which it is new in this theme."""

Pages = Callable[[Scene], dict[str, str]]
ADMINS = (constitution_pages, exchange_pages, review_pages, training_pages, people_pages)


@pytest.mark.parametrize(
    ("who", "kinds"),
    [("admin", ADMINS), ("auditor", (queue_pages,)), ("reader", (reader_pages,)), (None, (outside_pages,))],
)
def test_every_page_is_accessible_and_fits(
    page: Page, site: Site, models: Path, who: str | None, kinds: tuple[Pages, ...]
) -> None:
    scene = make_scene()
    if who:
        site.sign_in(page.context, getattr(scene, who))
    problems = [
        f"{name}: {line}"
        for pages in kinds
        for name, path in pages(scene).items()
        for line in _problems(page, site.at(path))
    ]
    assert not problems, "\n".join(problems)


def _problems(page: Page, address: str) -> list[str]:
    """What is wrong with one page, in all its looks."""
    found = []
    _look(page, *WHOLE[0])
    page.goto(address)
    _settle(page)
    page.evaluate(AXE_SCRIPT)
    for theme, size in (*WHOLE, *OTHER):
        _look(page, theme, size)
        page.evaluate(REMEMBER, theme)
        look = f"{theme}, {size['width']} px"
        broken = _broken_rules(page, "document", EVERYTHING) if (theme, size) in WHOLE else _broken_colours(page)
        found += [f"{look}: {one}" for one in broken]
        if (width := page.evaluate("document.documentElement.scrollWidth")) > size["width"]:
            found.append(f"{look}: the page is {width} px wide: {_widest(page)}")
    return found


def _look(page: Page, theme: str, size: ViewportSize) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size(size)


def _broken_colours(page: Page) -> list[str]:
    """The rules about colours that are broken by elements that look new."""
    return _broken_rules(page, "{include: looksNew}", COLOURS) if page.evaluate("looksNew.length") else []


def _broken_rules(page: Page, context: str, options: dict[str, Any]) -> list[str]:
    """The rules that this part of the page breaks as it stands, each with an element that breaks it."""
    violations = page.evaluate(f"async (options) => (await axe.run({context}, options)).violations", options)
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
