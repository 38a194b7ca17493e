"""What somebody sees who may read and not change: no button that would be refused, and plain words if they go there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from django.urls import reverse

from tests.e2e.conftest import Site
from tests.e2e.scene import Scene, make_scene
from training_app.models import Audit, Run

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

REFUSED = "Your role does not allow this"


@pytest.fixture
def scene(page: Page, site: Site) -> Scene:
    """Everything there is, in front of a reader."""
    scene = make_scene()
    site.sign_in(page.context, scene.reader)
    return scene


def test_a_reader_is_refused_in_plain_words(page: Page, site: Site, scene: Scene) -> None:
    slug = scene.constitution.slug
    for path in (
        reverse("training:launch"),
        reverse("training:stop_run", args=[scene.running.pk]),
        reverse("constitutions:create"),
        reverse("constitutions:publish", args=[slug]),
        reverse("constitutions:draft_principle", args=[slug, "honesty"]),
        reverse("constitutions:restore_version", args=[slug, 1]),
        reverse("people"),
        reverse("invite"),
    ):
        answer = page.goto(site.at(path))
        assert answer and answer.status == 403, path
        assert page.get_by_role("heading", level=1).inner_text() == REFUSED, path
        assert "Nothing was changed." in page.inner_text("main"), path
        assert page.get_by_role("link", name="Go to the start").is_visible(), path


def test_a_reader_is_offered_nothing_that_would_be_refused(page: Page, site: Site, scene: Scene) -> None:
    slug = scene.constitution.slug
    offers = "main a, main button"
    for path, forbidden in (
        (reverse("constitutions:list"), "New constitution"),
        (reverse("constitutions:detail", args=[slug]), "Publish|Edit draft"),
        (reverse("constitutions:draft", args=[slug]), "Publish|Save"),
        (reverse("constitutions:version", args=[slug, 2]), "Launch|Start the draft"),
        (reverse("training:runs"), "Launch"),
        (reverse("training:run", args=[scene.running.pk]), "Stop|Cancel|Resume"),
        (reverse("training:run", args=[scene.done.run.pk]), "Launch"),
        (reverse("training:trace", args=[scene.done.steps[0].trace_id]), "Agree|Override|Comment"),
        (reverse("training:label", args=[scene.done.labels[0].pk]), "fits better|Comment"),
    ):
        page.goto(site.at(path))
        page.wait_for_load_state("networkidle" if "/v2/" in path else "load")
        seen = [words for words in page.locator(offers).all_inner_texts() if _is_one_of(words, forbidden)]
        assert not seen, (path, seen)


def test_a_forged_form_changes_nothing(page: Page, site: Site, scene: Scene) -> None:
    """A page that was open when the role was taken away, or a hand-made request: the server decides."""
    before = Audit.objects.count(), Run.objects.count()
    page.goto(site.at(reverse("training:label", args=[scene.done.labels[1].pk])))
    token = page.locator("body").get_attribute("hx-headers")
    form = {"choice": "a", "idempotency_key": str(uuid4())}
    for path in (page.url, site.at(reverse("training:launch"))):
        status = page.evaluate(
            """async ([path, form, headers]) => {
                const body = new URLSearchParams(form);
                return (await fetch(path, {method: "POST", headers: JSON.parse(headers), body})).status;
            }""",
            [path, form, token],
        )
        assert status == 403, path
    assert (Audit.objects.count(), Run.objects.count()) == before


def _is_one_of(words: str, forbidden: str) -> bool:
    return any(words.strip().startswith(one) or words.strip().endswith(one) for one in forbidden.split("|"))
