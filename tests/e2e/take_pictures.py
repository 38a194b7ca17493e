"""Takes the README's pictures of a running app: ``python -m tests.e2e.take_pictures SIGN_IN_LINK FOLDER``.

The newest run, one of its traces, labels and checkpoints are shown, whatever they are. Not a test.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

WIDE = (1280, 860)
NARROW = (390, 844)
SHOTS: tuple[tuple[str, str, str, tuple[int, int]], ...] = (
    ("run-light-1280", "run", "light", WIDE),
    ("run-dark-390", "run", "dark", NARROW),
    ("trace-light-1280", "trace", "light", WIDE),
    ("label-dark-1280", "label", "dark", WIDE),
    ("checkpoint-light-1280", "checkpoint", "light", WIDE),
    ("editor-light-1280", "editor", "light", WIDE),
)
LISTS = {
    "run": ("/runs/", "main a[href^='/runs/']:not([href='/runs/new/'])"),
    "trace": ("/audit/traces/", "main a[href^='/audit/traces/']:not([href*='/?'])"),
    "label": ("/audit/labels/", "main a[href^='/audit/labels/']:not([href*='/?'])"),
    "checkpoint": ("/checkpoints/", "main a[href^='/checkpoints/']"),
}


def main(link: str, folder: Path) -> None:
    """Sign in once, find one item of each kind, and photograph it."""
    parts = urlsplit(link)
    site = f"{parts.scheme}://{parts.netloc}"
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        state = folder / ".state.json"
        page = browser.new_page()
        page.goto(link)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_load_state()
        page.context.storage_state(path=state)
        addresses = {kind: address for kind in LISTS if (address := first_of(page, site, kind))}
        addresses["editor"] = f"{site}/constitutions/harmless-assistant/draft/"
        for name, kind, theme, size in SHOTS:
            if kind in addresses:
                shoot(browser, state, addresses[kind], folder / f"{name}.png", theme, size)
        state.unlink()


def first_of(page: Page, site: str, kind: str) -> str | None:
    """The address of the first item of a list page, or None while the list is empty."""
    where, links = LISTS[kind]
    page.goto(site + where)
    found = page.locator(links)
    return site + str(found.first.get_attribute("href")) if found.count() else None


def shoot(browser: Browser, state: Path, address: str, target: Path, theme: str, size: tuple[int, int]) -> None:
    """One picture of one page in one theme at one size (CSS pixels)."""
    context = browser.new_context(
        storage_state=state,
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": size[0], "height": size[1]},
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_timeout(1500)
    page.screenshot(path=target)
    print(target, address)
    context.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
