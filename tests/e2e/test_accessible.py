"""Every kind of page, measured: no rule of axe broken, nothing wider than a phone, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

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

Look = tuple[Literal["light", "dark"], "ViewportSize"]
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
LOOKS: tuple[Look, ...] = (("light", WIDE), ("dark", WIDE), ("dark", NARROW), ("light", NARROW))
"""Each differs from the one before in one thing: turning a page over costs."""
WHOLE = (LOOKS[0], LOOKS[2])
"""Looks in which the whole page is asked: both widths and both themes. In the other two, where its colours look new."""
LAYOUT = [*COLOURS, "target-size", "scrollable-region-focusable", "css-orientation-lock", "meta-viewport"]
"""What is asked of the whole page at the second width where the same elements are to be seen as at the first.

The other rules read what stands in the page and which of it is to be seen, not where it stands or in which colour.
"""
PREPARE = """() => {
    axe.configure({rules: [{id: "color-contrast", selector: "[data-looks-new]"}]});
    window.lookedSo = {light: new Map(), dark: new Map()};
    window.passed = (theme) => new Set(JSON.parse(sessionStorage.getItem(`passed, ${theme}`) ?? "[]"));
}"""
"""Contrast takes axe longer than all other rules together: it is asked only of elements that are marked."""
SETTLE = """async () => {
    for (const fold of document.querySelectorAll("main details.fold")) fold.open = true;
    const fragments = () => [...document.querySelectorAll("[hx-trigger=load]")];
    const loading = () => fragments().some((one) => one.textContent.includes("loading…"));
    const end = performance.now() + 10_000;
    while (document.querySelector(".htmx-request") || loading()) {
        if (performance.now() > end) throw new Error("A fragment of the page did not come within 10 s.");
        await new Promise((done) => setTimeout(done, 10));
    }
}"""
"""Opens what is folded, so that it is measured too, and waits for the fragments that a page fetches as it is loaded."""
MARK = """(theme) => {
    const passed = window.passed(theme);
    const grounds = new Map([[document.documentElement.parentNode, {stack: "", held: true}]]);
    const ground = (element) => {
        if (grounds.has(element)) return grounds.get(element);
        const below = ground(element.parentNode);
        const style = getComputedStyle(element);
        const fill = style.backgroundColor;
        const filled = style.opacity === "1" && style.backgroundImage === "none" && !/^rgba|\\/|transparent/.test(fill);
        const lifted = ["absolute", "fixed"].includes(style.position);
        const off = element.matches(":disabled, [aria-disabled=true], [aria-hidden=true], [inert]");
        const own = [style.color, fill, style.backgroundImage, style.opacity, style.filter, off].join();
        const same = own === below.own ? "" : `${own};`;
        const made = {own, stack: below.stack + same, held: filled || (below.held && !lifted)};
        grounds.set(element, made);
        return made;
    };
    const hidden = (element) => element.closest("[aria-hidden=true]") !== null;
    const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "";
    const worded = (element) =>
        element.matches("a, input, select, textarea, button") || [...element.childNodes].some(isText);
    const before = window.lookedSo[theme];
    const looks = new Map();
    for (const element of document.body.querySelectorAll("*")) {
        element.removeAttribute("data-looks-new");
        if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        const style = getComputedStyle(element);
        const {stack, held} = ground(element);
        const large = parseFloat(style.fontSize) >= (parseInt(style.fontWeight) >= 700 ? 18.66 : 24);
        const letters = [style.textShadow, style.textDecorationLine, style.fontWeight, style.fontStyle, large];
        const look = [element.localName, ...letters, stack].join();
        looks.set(element, look);
        if ((held && passed.has(look)) || before.get(element) === look) continue;
        if (worded(element) && !hidden(element)) element.setAttribute("data-looks-new", "");
    }
    window.lookedSo[theme] = looks;
    const one = [...looks.keys()].filter((element) => !before.has(element));
    const other = [...before.keys()].filter((element) => !looks.has(element));
    const others = [...one, ...other].some((element) => !hidden(element));
    const {scrollWidth} = document.documentElement;
    return [document.querySelectorAll("[data-looks-new]").length, others, scrollWidth];
}"""
"""Marks the elements with words of which contrast is not known yet in this theme (axe asks no others).

Returns how many; whether other elements are to be seen than in the look before in this theme (those for the eye alone
aside); and the page's width.

What contrast depends on is an element's letters and the stack of what lies behind it. Two that agree in both have the
same contrast, on whichever page: what axe has passed once is not asked again, neither on this page nor on a later one
of the same person. Elements that are placed over others, without an opaque background of their own, are always asked:
what lies behind those is not what they stand in.
"""
ASK = """async ([theme, runOnly, onlyMarked]) => {
    const options = {runOnly, resultTypes: ["violations", "passes"], elementRef: true, selectors: false};
    const asked = onlyMarked ? {include: [...document.querySelectorAll("[data-looks-new]")]} : document;
    const {violations, passes} = await axe.run(asked, options);
    const known = window.passed(theme);
    for (const {element} of passes.find(({id}) => id === "color-contrast")?.nodes ?? []) {
        known.add(window.lookedSo[theme].get(element));
    }
    sessionStorage.setItem(`passed, ${theme}`, JSON.stringify([...known]));
    return violations.flatMap(({id, nodes}) => nodes.map(({html}) => `${id}: ${html.slice(0, 160)}`));
}"""
"""Runs the rules, keeps the looks whose contrast passed, and returns what is broken, each with its element."""

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
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size(NARROW)
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
    _look(page, LOOKS[-1], LOOKS[0])
    page.goto(address)
    page.evaluate(SETTLE)
    page.evaluate(AXE_SCRIPT)
    page.evaluate(PREPARE)
    for before, (theme, size) in zip((LOOKS[0], *LOOKS), LOOKS, strict=False):
        _look(page, before, (theme, size))
        new, others, width = page.evaluate(MARK, theme)
        look, whole = f"{theme}, {size['width']} px", (theme, size) in WHOLE
        if whole or new:
            rules = COLOURS if not whole else RULES if others else LAYOUT
            asked = [theme, rules, not whole]
            found += [f"{look}: {one}" for one in page.evaluate(ASK, asked)]
        if width > size["width"]:
            found.append(f"{look}: the page is {width} px wide: {_widest(page)}")
    return found


def _look(page: Page, before: Look, now: Look) -> None:
    """Turns a page that looks like `before` over to look like `now`."""
    if before[0] != now[0]:
        page.emulate_media(color_scheme=now[0])
    if before[1] != now[1]:
        page.set_viewport_size(now[1])


def _widest(page: Page) -> str:
    """The innermost element that reaches beyond the page's right edge."""
    script = """() => {
        const isWide = (element) => element.getBoundingClientRect().right > innerWidth + 1;
        const wide = [...document.querySelectorAll("main *")].filter(isWide);
        return wide.length ? wide.at(-1).outerHTML.slice(0, 160) : "";
    }"""
    return str(page.evaluate(script))
