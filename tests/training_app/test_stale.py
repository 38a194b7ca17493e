"""What was made under words that mean something else now."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.models import Constitution, Draft, Version
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, newest, principle_of
from tests.training_app.factories import FinishedRun, finished_run
from training_app import stale
from training_app.counting import Citing, UpTo

pytestmark = pytest.mark.django_db


@pytest.fixture
def author() -> User:
    return make_person("ada", Role.AUTHOR)


@pytest.fixture
def done(author: User) -> FinishedRun:
    return finished_run(author, newest(make_constitution(author)))


@pytest.fixture
def constitution(done: FinishedRun) -> Constitution:
    return done.run.version.constitution


def edit(draft: Draft, user: User, key: str, **changes: Any) -> None:
    row = principle_of(draft.constitution, key, draft.branch)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)


def publish(draft: Draft, user: User) -> Version:
    return actions.publish_version(user=user, draft=draft, note="A note.")


def cited(done: FinishedRun, key: str) -> tuple[int, int]:
    labels = sum(label.principle is not None and label.principle.key == key for label in done.labels)
    return labels, sum(step.principle.key == key for step in done.steps)


def test_a_semantic_edit_makes_stale_and_a_minor_one_does_not(
    done: FinishedRun, constitution: Constitution, author: User
) -> None:
    assert stale.under(newest(constitution)).summary == ""
    edit(draft_of(constitution), author, "honesty", title="Truth", text="say what is true and mark what is uncertain")
    assert stale.under(draft_of(constitution)).summary == ""
    edit(draft_of(constitution), author, "honesty", text="Say what is false.")
    for state in (draft_of(constitution), publish(draft_of(constitution), author)):
        found = stale.under(state)
        labels, steps = cited(done, "honesty")
        assert labels + steps > 0
        (one,) = found.principles
        assert (one.key, one.number, one.citing, one.gone) == ("honesty", 1, Citing(UpTo(labels), UpTo(steps)), False)
        assert len(found.checkpoints) == 3
        assert "3 checkpoints" in found.summary


def test_a_principle_that_is_gone_is_stale_and_one_that_is_new_touches_checkpoints_only(
    constitution: Constitution, author: User
) -> None:
    actions.add_principle(user=author, draft=draft_of(constitution), title="Care", text="Take care.")
    assert stale.under(publish(draft_of(constitution), author)).summary == "3 checkpoints"
    actions.remove_principle(user=author, principle=principle_of(constitution, "honesty"))
    (gone,) = stale.under(publish(draft_of(constitution), author)).principles
    assert (gone.key, gone.gone) == ("honesty", True)


def test_another_line_says_nothing(constitution: Constitution, author: User) -> None:
    branch = actions.start_branch(user=author, version=newest(constitution), name="softer")
    edit(branch, author, "honesty", text="Say what is false.")
    side = publish(branch, author)
    edit(draft_of(constitution), author, "kindness", title="Kind")
    assert stale.under(publish(draft_of(constitution), author)).summary == ""
    assert stale.under(side).summary != ""


def test_the_explorer_asks_the_newest_version_of_the_main_branch_too(
    done: FinishedRun, constitution: Constitution, author: User
) -> None:
    """A branch that is published last makes nothing stale, and what was judged under it is another line."""
    mine = {label.principle_id for label in done.labels if label.principle and label.principle.key == "honesty"}
    branch = actions.start_branch(user=author, version=newest(constitution), name="softer")
    edit(branch, author, "honesty", text="Say what is false.")
    side = publish(branch, author)
    assert stale.changed_principles() == []
    edit(draft_of(constitution), author, "honesty", text="Say what is true, always.")
    publish(draft_of(constitution), author)
    assert set(stale.changed_principles()) == mine
    assert not mine & set(side.principles.values_list("pk", flat=True))


def test_the_pages_show_it_in_a_constant_number_of_queries(
    constitution: Constitution, author: User, done: FinishedRun
) -> None:
    client = signed_in(make_person("rita", Role.READER))
    edit(draft_of(constitution), author, "honesty", text="<script>alert(1)</script>", title="<b>Truth</b>")
    publish(draft_of(constitution), author)
    counts = []
    for _ in range(2):
        version = newest(constitution)
        with CaptureQueriesContext(connection) as queries:
            html = client.get(f"/stale/test/{version}/").content.decode()
        counts.append(len(queries))
        assert "labels" in html and "see the words" in html and "<script>alert" not in html
        edit(draft_of(constitution), author, "privacy", text="Ask first.")
        actions.add_principle(user=author, draft=draft_of(constitution), title="Care", text="Take care.")
        publish(draft_of(constitution), author)
    assert counts[0] == counts[1] <= 16
    assert "Test" in client.get("/stale/").content.decode()
    line = client.get("/stale/test/draft/", headers={"HX-Request": "true"}).content.decode()
    assert "3 checkpoints" in line and "<html" not in line
    assert 'hx-get="/stale/test/draft/"' in client.get("/constitutions/test/compare/v1..draft/").content.decode()
    assert 'hx-get="/stale/test/v2/"' in client.get("/constitutions/test/v2/").content.decode()
    for nowhere in ("/stale/test/v99/", "/stale/nothing/draft/", "/stale/test/draft@nowhere/"):
        assert client.get(nowhere).status_code == 404
    assert signed_in(make_person("sam", None)).get("/stale/test/draft/").status_code == 403


def test_each_principle_says_what_is_stale_of_it(done: FinishedRun, constitution: Constitution, author: User) -> None:
    edit(draft_of(constitution), author, "honesty", text="Say what is false.")
    labels, steps = cited(done, "honesty")
    found = stale.under(draft_of(constitution))
    (one,) = found.of(["privacy", "honesty", "honesty", "nothing"])
    assert (one.key, one.labels, one.steps) == ("honesty", UpTo(labels), UpTo(steps))
    assert one.checkpoints == len(found.checkpoints) > 0, "every checkpoint was trained under other words of it"
    publish(draft_of(constitution), author)
    edit(draft_of(constitution), author, "kindness", text="Be kind.")
    again = {one.key: one.checkpoints for one in stale.under(draft_of(constitution)).of(["honesty", "kindness"])}
    assert again == {"honesty": one.checkpoints, "kindness": one.checkpoints}


def test_the_pages_about_words_get_a_line_for_each_principle(
    done: FinishedRun, constitution: Constitution, author: User
) -> None:
    edit(draft_of(constitution), author, "honesty", text="Say what is false.")
    client, htmx = signed_in(author), {"HX-Request": "true"}
    page = client.get(f"/constitutions/{constitution.slug}/compare/v1..draft/").content.decode()
    assert 'id="stale-honesty"' in page and 'name="key" value="honesty"' in page
    url = reverse("training:stale_under", args=[constitution.slug, "draft"])
    assert f'hx-get="{url}"' in page
    asked = {"key": ["honesty", "privacy", '"><script>alert(1)</script>']}
    lines = client.get(url, asked, headers=htmx).content.decode()
    assert 'id="stale-honesty" hx-swap-oob="true"' in lines and "checkpoint" in lines
    assert 'id="stale-privacy"' not in lines and "<script>" not in lines
    editor = client.get(f"/constitutions/{constitution.slug}/draft/principles/honesty/").content.decode()
    assert f'hx-get="{url}?only=honesty"' in editor
    assert "checkpoint" in client.get(url, {"only": "honesty"}, headers=htmx).content.decode()
    assert client.get(url, {"only": "privacy"}, headers=htmx).content.decode().strip() == ""
