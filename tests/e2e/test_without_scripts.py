"""With JavaScript switched off every main form still does its work: the pages are plain HTML underneath."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from tests.constitutions_app.factories import newest, principle_of
from tests.e2e.conftest import Site
from tests.e2e.scene import Scene, make_scene
from training_app.models import Audit, Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture
def scene(site: Site, models: Path) -> Scene:
    return make_scene()


@pytest.fixture
def plain(browser: Browser, site: Site, scene: Scene) -> Iterator[Page]:
    """An admin's browser that runs no script."""
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    site.sign_in(context, scene.admin)
    yield context.new_page()
    context.close()


def test_words_are_written_published_and_compared(plain: Page, site: Site, scene: Scene) -> None:
    slug = scene.constitution.slug
    plain.goto(site.at(reverse("constitutions:draft_principle", args=[slug, "honesty"])))
    plain.get_by_label("Principle", exact=True).fill("Say what is true.")
    plain.get_by_role("button", name="Save", exact=True).click()
    assert principle_of(scene.constitution, "honesty").text == "Say what is true."
    plain.get_by_role("button", name="Move down").click()
    assert principle_of(scene.constitution, "honesty").position > principle_of(scene.constitution, "kindness").position
    plain.get_by_placeholder("Title of a new principle").fill("Brevity")
    plain.get_by_placeholder("Title of a new principle").press("Enter")
    assert "Brevity" in plain.inner_text("#outline")
    plain.get_by_label("Principle", exact=True).fill("Say it in few words.")
    plain.get_by_role("button", name="Save", exact=True).click()
    plain.get_by_role("link", name="Publish").click()
    plain.get_by_label("Change note").fill("Shorter.")
    plain.get_by_role("button", name="Publish version").click()
    assert newest(scene.constitution).number == 4
    plain.get_by_role("link", name="Checkpoints of v4").click()
    assert "No checkpoint has learnt from this version." in plain.inner_text("main")
    plain.goto(site.at(reverse("constitutions:detail", args=[slug])))
    plain.locator("select[name=old]").select_option("v2")
    plain.locator("select[name=new]").select_option("v4")
    plain.get_by_role("button", name="Compare").click()
    plain.locator("#p-honesty del").first.wait_for()
    assert plain.locator("#p-brevity ins").all_inner_texts()[:2] == ["Brevity", "Say it in few words."]


def test_runs_are_launched_and_stopped(plain: Page, site: Site, scene: Scene) -> None:
    plain.goto(site.at(reverse("training:launch")))
    plain.get_by_label("Small: an evening").check()
    plain.get_by_role("button", name="Fill in the preset").click()
    assert plain.locator("[name='rl.steps']").input_value() == "100"
    plain.locator("[name='rl.steps']").fill("3")
    clip = plain.get_by_label("PPO clip")
    assert not clip.is_visible(), "GRPO does not read it"
    plain.get_by_label("Algorithm", exact=True).select_option("ppo")
    assert clip.is_visible()
    plain.get_by_label("After SL-CAI").select_option("dpo")
    assert not clip.is_visible() and plain.get_by_label("DPO beta").is_visible()
    assert not plain.locator("#options-reward").is_visible() and plain.locator("#options-sample").is_visible()
    plain.get_by_label("Pairs").select_option("revisions")
    assert not plain.locator("#options-sample").is_visible()
    plain.get_by_label("After SL-CAI").select_option("rl")
    plain.get_by_label("Algorithm", exact=True).select_option("grpo")
    plain.get_by_label("Name").fill("Without scripts")
    plain.get_by_role("button", name="Launch run").click()
    run = Run.objects.get(name="Without scripts")
    assert (run.state, run.preset, run.config["rl"]["steps"]) == ("queued", "small", 3)
    plain.get_by_role("link", name="Cancel").click()
    plain.get_by_role("button", name="Cancel the run").click()
    assert Run.objects.get(pk=run.pk).state == "cancelled"
    plain.goto(site.at(reverse("training:runs")))
    plain.get_by_label("State").select_option("cancelled")
    plain.get_by_role("button", name="Filter").click()
    assert plain.locator("#results tbody tr").count() == 1


def test_items_are_judged_and_checkpoints_verified(plain: Page, site: Site, scene: Scene) -> None:
    label, step = scene.done.labels[1], scene.done.steps[1]
    plain.goto(site.at(reverse("training:label", args=[label.pk])))
    plain.get_by_label("Comment").fill("Clear enough.")
    plain.get_by_role("button", name="A fits better").click()
    assert f"Verdict on label {label.pk} saved" in plain.inner_text(".notices")
    audit = Audit.objects.get(label=label)
    assert (audit.choice, audit.comment, audit.auditor) == ("a", "Clear enough.", scene.admin)
    plain.goto(site.at(reverse("training:trace", args=[step.trace_id])))
    plain.get_by_role("form", name=f"Your verdict on round {step.round}").get_by_role("button", name="Override").click()
    assert Audit.objects.get(step=step).verdict == "override"
    plain.goto(site.at(reverse("training:checkpoint", args=[scene.done.rl.pk])))
    plain.get_by_role("button", name="Verify").click()
    assert "Every digest was recomputed and holds" in plain.inner_text("#verification")


def test_somebody_comes_in_and_leaves(browser: Browser, site: Site, scene: Scene) -> None:
    from cai_web.auth import one_time_path

    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.at(one_time_path(scene.author)))
    page.get_by_role("button", name="Sign in as ada").click()
    page.get_by_role("heading", name="Constitutions").wait_for()
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You are signed out").wait_for()
    context.close()
