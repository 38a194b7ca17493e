from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.core.principles import digest_of_text
from constitutions_app.models import Constitution, LedgerEntry, PublishingRules, Review, Verdict
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, newest

pytestmark = pytest.mark.django_db


def point(constitution: Constitution, user: User, name: str = "production") -> None:
    actions.move_alias(user=user, constitution=constitution, name=name, version=newest(constitution))


def test_an_alias_moves_and_every_move_is_kept(constitution: Constitution, author: User) -> None:
    point(constitution, author)
    point(constitution, author)
    actions.add_principle(user=author, draft=draft_of(constitution), title="Care", text="Take care.")
    actions.publish_version(user=author, draft=draft_of(constitution), note="Care.")
    point(constitution, author)
    assert constitution.aliases.get().version == newest(constitution)
    actions.move_alias(user=author, constitution=constitution, name="production", version=None)
    assert not constitution.aliases.exists()
    assert LedgerEntry.objects.filter(verb="alias.move").count() == 3, "moving it to where it is is no move"


@pytest.mark.parametrize("name", ["latest", "", "Production", "a b", "-x", "x" * 41, "../x", "<b>"])
def test_unfit_names_are_refused(constitution: Constitution, author: User, name: str) -> None:
    with pytest.raises(actions.Refused):
        point(constitution, author, name)
    assert not constitution.aliases.exists()


def test_another_constitutions_version_is_refused(constitution: Constitution, author: User) -> None:
    other = make_constitution(author, name="Other")
    with pytest.raises(actions.Refused, match="another constitution"):
        actions.move_alias(user=author, constitution=constitution, name="production", version=newest(other))


def approve(constitution: Constitution, person: User, word: str) -> None:
    version = newest(constitution)
    review = Review.objects.filter(version=version).first() or Review.objects.create(
        draft=constitution.draft, requested_by=version.author, state=Review.State.PUBLISHED, version=version
    )
    Verdict.objects.create(
        review=review, person=person, word=word, body=version.canonical, digest=digest_of_text(version.canonical)
    )


def test_approved_needs_the_approvals_that_the_rules_ask_for(constitution: Constitution, author: User) -> None:
    point(constitution, author, "approved")
    actions.move_alias(user=author, constitution=constitution, name="approved", version=None)
    PublishingRules.objects.create(constitution=constitution, required_approvals=1, updated_by=author)
    rex = make_person("rex", Role.REVIEWER)
    for person, word in ((None, ""), (author, "approve"), (rex, "comment"), (rex, "changes")):
        if person:
            approve(constitution, person, word)
        with pytest.raises(actions.Refused, match="0 of the 1 approval"):
            point(constitution, author, "approved")
    approve(constitution, rex, "approve")
    point(constitution, author, "approved")
    assert constitution.aliases.get().name == "approved"
