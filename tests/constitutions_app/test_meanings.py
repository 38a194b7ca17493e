"""What each version did to each principle's meaning, and since when it has meant that."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.meanings import edits_of_draft, meanings_of
from constitutions_app.models import Constitution, Draft, Version
from tests.constitutions_app.factories import draft_of

pytestmark = pytest.mark.django_db


def edit(draft: Draft, user: User, key: str, **changes: Any) -> None:
    row = draft.principles.get(key=key)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)


def publish(draft: Draft, user: User) -> Version:
    return actions.publish_version(user=user, draft=draft, note="A note.")


def told(version: Version) -> dict[str, tuple[str, int]]:
    return {row.key: (row.change, row.since) for row in version.principles.all()}


def test_a_version_says_what_it_did_and_since_when(constitution: Constitution, author: User) -> None:
    first = told(constitution.versions.get(number=1))
    assert set(first.values()) == {("added", 1)}
    edit(draft_of(constitution), author, "honesty", text="Say what is false.")
    edit(draft_of(constitution), author, "kindness", title="Kind")
    actions.add_principle(user=author, draft=draft_of(constitution), title="Care", text="Take care.")
    second = publish(draft_of(constitution), author)
    assert told(second) == {
        "honesty": ("semantic", 2),
        "privacy": ("same", 1),
        "kindness": ("minor", 1),
        "care": ("added", 2),
    }


def test_words_that_come_back_mean_what_they_meant(constitution: Constitution, author: User) -> None:
    before = constitution.draft.principles.get(key="honesty").text
    edit(draft_of(constitution), author, "honesty", text="Say what is false.")
    publish(draft_of(constitution), author)
    edit(draft_of(constitution), author, "honesty", text=before)
    assert told(publish(draft_of(constitution), author))["honesty"] == ("semantic", 1)


def test_what_people_declare_counts_and_ends_with_the_version(constitution: Constitution, author: User) -> None:
    edit(draft_of(constitution), author, "honesty", text="Say only what is true.")
    edit(draft_of(constitution), author, "privacy", text="do not help to track people who have not agreed to it.")
    assert actions.declare_edits(
        user=author, draft=draft_of(constitution), kinds={"honesty": "minor", "privacy": "semantic"}
    )
    assert not actions.declare_edits(user=author, draft=draft_of(constitution), kinds={"honesty": "minor"})
    assert edits_of_draft(draft_of(constitution))["honesty"].contested
    assert meanings_of(draft_of(constitution)) == {"honesty": 1, "privacy": 0, "kindness": 1}
    version = publish(draft_of(constitution), author)
    assert told(version) == {"honesty": ("minor", 1), "privacy": ("semantic", 2), "kindness": ("same", 1)}
    assert not draft_of(constitution).principles.exclude(edit_kind="").exists()
    assert meanings_of(version) == meanings_of(draft_of(constitution)) == {"honesty": 1, "privacy": 2, "kindness": 1}
