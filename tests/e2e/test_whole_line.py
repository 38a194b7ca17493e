"""One person, one browser, the real app: from the first sign-in to a checkpoint that leads back to the words.

Everything is the product's own: PostgreSQL, Redis, web server, workers and sweeper, started as `make run` starts them,
and eight real stages. Only the model is small: two layers, made here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.running_app import RunningApp, start_app
from tests.tiny_model import build_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600), pytest.mark.xdist_group("app")]

ADDED = "It says so before it says anything else."
NOTE = "Says sooner what is declined."
SAVED = re.compile(r"^saved \d\d:\d\d:\d\d$")
RUN_S = 420
"""How long the run may take on a machine that is busy with other tests; alone on two cores it takes about a minute."""

SMALLEST = {
    "max_prompts": "6",
    "generate.sampling.max_new_tokens": "6",
    "revise.rounds": "1",
    "revise.exemplars": "1",
    "sft.epochs": "1",
    "sample.sampling.max_new_tokens": "6",
    "reward.epochs": "1",
    "rl.steps": "1",
    "rl.generations": "2",
    "evaluate.sampling.max_new_tokens": "6",
}
SMALLEST_ADVANCED = {
    "revise.sampling.max_new_tokens": "6",
    "sft.max_length": "256",
    "reward.max_length": "256",
    "rl.prompts_per_step": "2",
    "rl.max_completion_length": "6",
    "evaluate.bootstrap": "50",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app as a person starts it, with one model to choose."""
    folder = tmp_path_factory.mktemp("app")
    models = folder / "models"
    build_tiny_model(models / "tiny")
    app = start_app(folder, prepared=True, MODELS_ROOT=str(models), OMP_NUM_THREADS="1", DURABLE="0")
    try:
        yield app
    finally:
        app.stop()


def test_from_the_first_sign_in_to_a_checkpoint_that_leads_back_to_the_words(fresh_page: Page, app: RunningApp) -> None:
    page = fresh_page
    page.set_viewport_size({"width": 1280, "height": 800})
    _sign_in(page, app)
    _edit_with_autosave(page)
    _publish(page)
    _compare(page)
    _launch(page)
    _watch_it_finish(page)
    _audit_a_step(page)
    _override_a_label(page)
    _follow_the_checkpoint_to_the_words(page)
    _sign_out(page)
    _stages_were_forked(app)


def _sign_in(page: Page, app: RunningApp) -> None:
    """By the link that the terminal shows; it opens once."""
    link = app.sign_in_link()
    page.goto(link)
    page.get_by_role("button", name="Sign in as admin").click()
    page.get_by_role("heading", name="Constitutions").wait_for()
    page.goto(link)
    page.get_by_role("heading", name="This link does not open").wait_for()
    page.goto(app.address)


def _edit_with_autosave(page: Page) -> None:
    """Words are saved while they are typed, are there after a reload, and are in what the model will be sent."""
    from playwright.sync_api import expect

    page.get_by_role("link", name="Harmless assistant").click()
    page.get_by_role("link", name="Edit draft").click()
    page.get_by_role("navigation", name="Outline").get_by_role("link", name="Plain help").click()
    words = page.get_by_label("Principle", exact=True)
    own = page.get_by_label("Comparison question")
    for field in (page.get_by_label("Critique request"), page.get_by_label("Revision request"), own):
        field.fill("")
    words.focus()
    page.keyboard.press("Control+End")
    page.keyboard.type(f" {ADDED}")
    status = page.locator("[data-autosave-status]")
    expect(status).to_have_text(SAVED)
    page.reload()
    expect(words).to_have_value(re.compile(re.escape(ADDED)))
    sent = page.get_by_role("complementary", name="What is sent")
    expect(sent.get_by_role("heading")).to_have_text(
        [
            "What is sent",
            re.compile("Critique request"),
            re.compile("Revision request"),
            re.compile("Comparison"),
            re.compile("Hints"),
        ]
    )
    expect(sent.locator(".sent").first).to_contain_text(ADDED.rstrip("."))


def _publish(page: Page) -> None:
    """Not without a note, nor with one once somebody has changed the draft in between; what was typed is kept."""
    from playwright.sync_api import expect

    page.get_by_role("link", name="Publish").click()
    note = page.get_by_label("Change note")
    note.fill("   ")
    page.get_by_role("button", name="Publish version").click()
    expect(page.get_by_text("A version needs a change note.")).to_be_visible()
    expect(page.locator("ins").filter(has_text="before it says anything else").first).to_be_visible()
    note.fill(NOTE)
    _edit_the_preamble_elsewhere(page)
    page.get_by_role("button", name="Publish version").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was published, and your note was kept.")
    expect(note).to_have_value(NOTE)
    page.get_by_role("button", name="Publish version").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Harmless assistant v2")
    _said(page, "v2 is published")


def _edit_the_preamble_elsewhere(page: Page) -> None:
    """In a second tab, as a colleague would."""
    from playwright.sync_api import expect

    with page.context.expect_page() as opened:
        page.evaluate("open(location.href.replace('publish/', 'preamble/'))")
    tab = opened.value
    tab.get_by_label("Preamble", exact=True).fill("Why these words.")
    expect(tab.locator("[data-autosave-status]")).to_have_text(SAVED)
    tab.close()


def _compare(page: Page) -> None:
    from playwright.sync_api import expect

    page.get_by_role("link", name="Changes since v1").click()
    expect(page.locator("li.change")).to_have_count(2)
    change = page.locator("li.change", has_text="Plain help")
    expect(change.locator("ins").first).to_contain_text("before it says anything else")
    expect(page.locator("#preamble del").first).to_be_visible()
    page.get_by_role("link", name="Side by side").click()
    expect(change.locator("ins").first).to_contain_text("before it says anything else")
    page.get_by_role("link", name="Harmless assistant", exact=True).click()
    page.get_by_role("link", name="v2", exact=True).click()


def _launch(page: Page) -> None:
    """From the version's page, which is chosen already; every value goes into the form's own fields."""
    from playwright.sync_api import expect

    page.get_by_role("link", name="Launch run").click()
    expect(page.get_by_label("Version", exact=True)).to_have_value("harmless-assistant@2")
    page.get_by_label("Base model", exact=True).select_option("tiny")
    page.get_by_label("Name").fill("The whole line")
    for name, value in SMALLEST.items():
        page.locator(f"[name='{name}']").fill(value)
    for name, value in SMALLEST_ADVANCED.items():
        field = page.locator(f"[name='{name}']")
        fold = page.locator("details", has=field)
        if fold.get_attribute("open") is None:
            fold.locator("summary").click()
        field.fill(value)
    page.get_by_label("Seed", exact=True).fill("11")
    page.get_by_role("button", name="Launch run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Run 1 The whole line")


def _watch_it_finish(page: Page) -> None:
    """The page follows by itself: it is not loaded again, and every stage passes through its states."""
    from playwright.sync_api import expect

    page.evaluate("window.neverReloaded = true")
    stages = page.locator("#run-stages .stage")
    expect(stages).to_have_count(8)
    head = page.locator("#run-head .state")
    expect(head).to_have_text("running", timeout=60_000)
    expect(page.locator("#run-stages .stage[data-state=running]")).to_have_count(1, timeout=60_000)
    expect(page.locator("#run-newest .item").first).to_be_visible(timeout=RUN_S * 1000)
    expect(page.locator("#run-curves svg").first).to_be_visible(timeout=RUN_S * 1000)
    expect(head).to_have_text(re.compile("succeeded|failed|lost|cancelled"), timeout=RUN_S * 1000)
    assert head.inner_text() == "succeeded", page.locator("main").inner_text()
    expect(page.locator("#run-stages .stage[data-state=succeeded]")).to_have_count(8)
    expect(page.locator("#run-results .item")).to_have_count(3)
    expect(page.get_by_role("region", name="Evaluation").locator("tbody tr")).to_have_count(3)
    assert page.evaluate("window.neverReloaded") is True


def _audit_a_step(page: Page) -> None:
    """A verdict on a critique and its revision: saved at once, with the time, and the earlier one stays."""
    from playwright.sync_api import expect

    places = page.get_by_role("navigation", name="Places")
    places.get_by_role("link", name="Audit").click()
    page.get_by_role("link", name=re.compile(r"\d+ wait")).first.click()
    page.locator(".item-title").first.click()
    trace = page.url
    step = page.locator(".step").first
    expect(step.locator(".cite")).to_have_attribute("href", re.compile(r"/harmless-assistant/v2/principles/"))
    page.get_by_label("Critique fair?").select_option("yes")
    page.get_by_label("Revision better?").select_option("no")
    page.get_by_label("Comment").fill("The revision says nothing.")
    page.get_by_role("button", name="Override").click()
    _said(page, r"Verdict on trace \d+, round 1 saved \d\d:\d\d:\d\d")
    page.goto(trace)
    expect(page.locator(".audits li")).to_have_count(1)
    expect(page.locator(".audits li")).to_contain_text("revision not better")
    page.get_by_text("Change my verdict on round 1").click()
    page.get_by_role("button", name="Agree").click()
    _said(page, r"Verdict on trace \d+, round 1 saved \d\d:\d\d:\d\d")
    page.goto(trace)
    expect(page.locator(".audits li")).to_have_count(2)


def _override_a_label(page: Page) -> None:
    """With keys: Enter opens the first one, 1 or 2 chooses, and the choice says the contrary of the AI's."""
    from playwright.sync_api import expect

    page.get_by_role("navigation", name="Places").get_by_role("link", name="Audit").click()
    _arrived(page, "Audit")
    page.keyboard.press("l")
    _arrived(page, "AI labels")
    page.keyboard.press("Enter")
    _arrived(page, "Label")
    label = page.url
    expect(page.locator(".orders dd")).to_have_count(3)
    ai_chose_a = "Response A" in page.locator(".response.chosen h2").inner_text()
    page.keyboard.press("2" if ai_chose_a else "1")
    _said(page, r"Verdict on label \d+ saved \d\d:\d\d:\d\d")
    page.goto(label)
    expect(page.locator(".section-head .saved")).to_have_text(SAVED)
    expect(page.get_by_role("heading", name=re.compile("Your verdict: override"))).to_be_visible()
    expect(page.locator(".audits li")).to_contain_text(re.compile("saw the AI.s choice first"))


def _follow_the_checkpoint_to_the_words(page: Page) -> None:
    """It verifies, names the version, and the version names it."""
    from playwright.sync_api import expect

    page.get_by_role("navigation", name="Places").get_by_role("link", name="Checkpoints").click()
    page.get_by_role("link", name="RL-CAI").click()
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#verification")).to_contain_text("Every digest was recomputed and holds")
    graph = page.get_by_role("group", name=re.compile("Lineage of this checkpoint"))
    expect(graph).to_contain_text("Reward model")
    graph.get_by_role("link", name="Harmless assistant v2").click()
    expect(page.locator("blockquote")).to_have_text(NOTE)
    expect(page.get_by_text(ADDED).first).to_be_visible()
    page.get_by_role("link", name="RL-CAI").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("RL-CAI")


def _sign_out(page: Page) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You are signed out").wait_for()
    page.goto(page.url.split("/sign-out")[0] + "/runs/")
    page.get_by_role("heading", name="Sign in").wait_for()


def _stages_were_forked(app: RunningApp) -> None:
    """From one process, with no other thread beside the one that forks, and none began with nothing."""
    family = psutil.Process(app.process.pid).children(recursive=True)
    waiting = [one for one in family if "training_app.core.warm" in one.cmdline()]
    assert [one.num_threads() for one in waiting] == [1]
    assert "starts from nothing" not in (app.var / "log" / "gpu.log").read_text()


def _arrived(page: Page, title: str) -> None:
    """Waits until a page is there with its scripts, so that keys are heard."""
    page.get_by_role("heading", name=title, level=1).wait_for()
    page.wait_for_load_state("load")


def _said(page: Page, pattern: str) -> None:
    """Waits until the page says so on top."""
    page.locator(".notices .notice").filter(has_text=re.compile(pattern)).wait_for()
