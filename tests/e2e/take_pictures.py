"""Takes the README's pictures of a running app: ``python -m tests.e2e.take_pictures LINK FOLDER [NAME=PATH ...]``.

LINK is the one-time link to sign in. The newest run, one of its traces, labels and checkpoints are shown, whatever they
are; or, where pages are named, those. Not a test.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.chromium import chromium, launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

MOST_BYTES = 200_000
WIDE, NARROW = (1280, 800), (390, 844)
FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "pictures"
LOOKS = (
    ("light", WIDE, ("run", "trace", "checkpoint", "editor", "compare")),
    ("dark", WIDE, ("label",)),
    ("dark", NARROW, ("run",)),
)


class NothingToShow(Exception):
    """The app does not hold what a picture would show; the message says what to do."""


def main(link: str, folder: Path = FOLDER, own: Mapping[str, str] | None = None) -> None:
    """Sign in, look up what to show (or take `own`, path by name), take every picture, and say how large each is."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright, chromium())
        context = browser.new_context(locale="en-GB", timezone_id="UTC", reduced_motion="reduce")
        page = _signed_in(context, link)
        site = "{0.scheme}://{0.netloc}".format(urlsplit(link))
        addresses = {name: site + path for name, path in own.items()} if own else _what_to_show(page, site)
        for theme, size, names in (("light", WIDE, tuple(own)),) if own else LOOKS:
            _take(browser, context, {name: addresses[name] for name in names if name in addresses}, theme, size, folder)
        browser.close()


def _signed_in(context: BrowserContext, link: str) -> Page:
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name=re.compile("Sign in as")).click()
    page.get_by_role("heading", level=1).wait_for()
    return page


def _what_to_show(page: Page, site: str) -> dict[str, str]:
    """The address of each picture's page."""

    def first(path: str, selector: str) -> str:
        page.goto(site + path)
        link = page.locator(selector).first
        return site + (link.get_attribute("href") or "") if link.count() else ""

    run = first("/runs/?state=succeeded", "tbody a")
    if not run:
        raise NothingToShow("No run has finished: wait for the demo run, or launch one.")
    page.goto(run)
    version = page.locator("#run-head a.matter").get_attribute("href") or ""
    constitution = re.sub(r"v\d+/$", "", version)
    number = run.rstrip("/").rpartition("/")[2]
    found = {
        "run": run,
        "trace": first(f"/audit/traces/?run={number}&audit=waiting", ".item:not(:has(.flag)) .item-title")
        or first(f"/audit/traces/?run={number}&audit=waiting", ".item-title"),
        "label": first(f"/audit/labels/?run={number}&orders=agree", ".item-title")
        or first(f"/audit/labels/?run={number}", ".item-title"),
        "checkpoint": first("/checkpoints/", "tbody a"),
        "editor": site + constitution + "draft/",
        "compare": first(constitution, "a:text('What changed')"),
    }
    return {name: address for name, address in found.items() if address}


def _take(
    browser: Browser, signed_in: BrowserContext, pages: dict[str, str], theme: str, size: tuple[int, int], folder: Path
) -> None:
    """One look's pictures: what somebody sees first, without scrolling."""
    context = browser.new_context(
        storage_state=signed_in.storage_state(),
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    page = context.new_page()
    for name, address in pages.items():
        page.goto(address)
        if name == "checkpoint":
            page.get_by_role("button", name="Verify").click()
            page.locator("#verification .notice").wait_for(timeout=120_000)
        page.wait_for_timeout(500)
        picture = folder / f"{name}-{theme}-{size[0]}.png"
        page.screenshot(path=picture, full_page=False)
        if (length := picture.stat().st_size) > MOST_BYTES:
            raise NothingToShow(f"{picture.name} is {length // 1000} kB, more than {MOST_BYTES // 1000} kB.")
        print(f"{picture.name}  {length // 1000} kB")
    context.close()


if __name__ == "__main__":
    try:
        named = dict(one.split("=", 1) for one in sys.argv[3:])
        main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else FOLDER, named)
    except NothingToShow as error:
        sys.exit(str(error))
    except IndexError:
        sys.exit(__doc__)
