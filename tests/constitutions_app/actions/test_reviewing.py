"""Asking, judging, and what publishing waits for."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.approvals import approvals_of
from constitutions_app.models import (
    Constitution,
    Draft,
    LedgerEntry,
    Notification,
    PublishingRules,
    Review,
    Verdict,
    Version,
)
from constitutions_app.reviewing import Rules, reasons_against_publishing, rules_of, state_of_review
from tests.constitutions_app.factories import draft_of, newest, principle_of

pytestmark = pytest.mark.django_db

APPROVE, CHANGES, COMMENT = Verdict.Word.APPROVE, Verdict.Word.REQUEST_CHANGES, Verdict.Word.COMMENT
ONE = Rules(required_approvals=1, threads_resolved=True)


def edit(constitution: Constitution, user: User, key: str = "honesty", **changes: object) -> None:
    row = principle_of(constitution, key)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)


def say(user: User, constitution: Constitution, word: Verdict.Word = APPROVE, note: str = "") -> Verdict:
    draft = draft_of(constitution)
    review = Review.objects.get(draft=draft, state="open")
    return actions.give_verdict(user=user, review=review, word=word, note=note, expected=draft.revision)


def publish(constitution: Constitution, user: User) -> object:
    return actions.publish_version(user=user, draft=draft_of(constitution), note="So.")


def reasons(constitution: Constitution) -> str:
    return " ".join(reasons_against_publishing(draft_of(constitution)))


@pytest.fixture
def asked(constitution: Constitution, author: User, admin: User, reviewer: User) -> Constitution:
    """One approval is required, the draft was edited, and its author asked for a review."""
    actions.change_rules(user=admin, constitution=constitution, rules=ONE)
    edit(constitution, author, text="Be honest with everybody.")
    actions.request_review(user=author, draft=draft_of(constitution))
    return constitution


def test_one_person_alone_can_publish_until_the_rules_say_otherwise(constitution: Constitution, author: User) -> None:
    assert rules_of(constitution) == Rules()
    edit(constitution, author, text="Be honest.")
    publish(constitution, author)
    assert newest(constitution).number == 2


def test_publishing_waits_for_an_approval_and_the_version_says_whose_it_was(
    asked: Constitution, author: User, reviewer: User
) -> None:
    with pytest.raises(actions.PublishRefused, match="0 of 1 approval"):
        publish(asked, author)
    assert newest(asked).number == 1
    said = say(reviewer, asked)
    publish(asked, author)
    version = newest(asked)
    assert approvals_of([version]) == {version.pk: (said,)}
    assert (said.digest, said.review.draft) == (version.digest, draft_of(asked))
    review = Review.objects.get(version=version)
    assert (review.state, review.ended_at is None) == ("published", False)
    entry = LedgerEntry.objects.get(verb="version.publish", body__contains='"version":2')
    assert json.loads(entry.body)["data"]["approved_by"] == ["Rex"]


def test_nobody_approves_what_they_asked_for(constitution: Constitution, reviewer: User, author: User) -> None:
    actions.request_review(user=reviewer, draft=draft_of(constitution))
    for word in (APPROVE, CHANGES):
        with pytest.raises(actions.Refused, match="somebody else"):
            say(reviewer, constitution, word, "So.")
    say(reviewer, constitution, COMMENT, "I asked because of privacy.")
    with pytest.raises(actions.Refused, match="Only reviewers"):
        say(author, constitution, APPROVE)
    assert list(Verdict.objects.values_list("word", flat=True)) == ["comment"]


def test_what_was_written_last_is_approved_by_somebody_else(
    asked: Constitution, admin: User, reviewer: User, author: User
) -> None:
    edit(asked, admin, "privacy", text="Guard what people have not made public.")
    say(admin, asked)
    assert "Somebody other than Zoe" in reasons(asked)
    with pytest.raises(actions.PublishRefused, match="Somebody other than Zoe"):
        publish(asked, author)
    say(reviewer, asked)
    assert reasons(asked) == ""
    publish(asked, author)


def test_a_change_of_meaning_dismisses_an_approval_and_nothing_else_does(
    asked: Constitution, author: User, reviewer: User
) -> None:
    say(reviewer, asked)
    draft = draft_of(asked)
    edit(asked, author, text="Be honest with everybody.")
    assert draft_of(asked).revision == draft.revision, "a save without a change saves nothing"
    edit(asked, author, text="Be honest  with everybody.")
    actions.move_principle(user=author, principle=principle_of(asked, "kindness"), to=0)
    assert reasons(asked) == ""
    edit(asked, author, text="Be honest with nobody.")
    state = state_of_review(draft_of(asked))
    assert [part.void for part in state.said] == ["“Honesty” changed since"]
    assert "0 of 1 approval" in reasons(asked)
    edit(asked, author, text="Be honest with everybody.")
    assert reasons(asked) == "", "the words that were approved are back"


def test_a_request_for_changes_stands_until_the_same_person_is_content(
    asked: Constitution, author: User, reviewer: User, admin: User
) -> None:
    with pytest.raises(actions.Refused, match="what you mean"):
        say(reviewer, asked, CHANGES)
    say(reviewer, asked, CHANGES, "Too vague.")
    say(admin, asked)
    edit(asked, author, text="Be honest with everybody, always.")
    say(admin, asked)
    assert reasons(asked) == "Rex asked for changes."
    say(reviewer, asked)
    assert reasons(asked) == ""


def test_more_approvals_come_from_more_people(asked: Constitution, admin: User, reviewer: User) -> None:
    actions.change_rules(user=admin, constitution=asked, rules=Rules(required_approvals=2))
    first = say(reviewer, asked)
    assert say(reviewer, asked) == first, "a button pressed twice"
    assert "1 of 2 approvals" in reasons(asked)
    say(admin, asked)
    assert reasons(asked) == ""


def test_an_approval_ends_with_the_role(asked: Constitution, reviewer: User, admin: User) -> None:
    say(reviewer, asked)
    actions.set_role(user=admin, person=reviewer, role=Role.READER)
    assert "0 of 1 approval" in reasons(asked)


def test_nothing_is_judged_that_was_not_read(asked: Constitution, author: User, reviewer: User) -> None:
    draft = draft_of(asked)
    edit(asked, author, text="Something else.")
    review = Review.objects.get(draft=draft)
    with pytest.raises(actions.Refused, match="changed while you were reading"):
        actions.give_verdict(user=reviewer, review=review, word=APPROVE, expected=draft.revision)
    assert not Verdict.objects.exists()


def test_a_review_is_asked_for_once_and_can_be_taken_back(asked: Constitution, author: User, reviewer: User) -> None:
    with pytest.raises(actions.Refused, match="open already"):
        actions.request_review(user=author, draft=draft_of(asked))
    say(reviewer, asked)
    review = Review.objects.get()
    actions.withdraw_review(user=author, review=review)
    with pytest.raises(actions.Refused, match="has ended: withdrawn"):
        actions.give_verdict(user=reviewer, review=review, word=APPROVE, expected=draft_of(asked).revision)
    actions.request_review(user=author, draft=draft_of(asked), reviewers=[reviewer])
    assert "0 of 1 approval" in reasons(asked), "a new review begins with no verdict"
    with pytest.raises(actions.Refused, match="no reviewer"):
        actions.withdraw_review(user=author, review=Review.objects.get(state="open"))
        actions.request_review(user=author, draft=draft_of(asked), reviewers=[author])


def test_open_threads_stand_against_publishing_where_the_rules_say_so(
    asked: Constitution, author: User, reviewer: User
) -> None:
    say(reviewer, asked)
    thread = actions.open_thread(
        user=reviewer, draft=draft_of(asked), key="honesty", field="text", quote="everybody", body="Even to liars?"
    )
    with pytest.raises(actions.PublishRefused, match="1 thread is not resolved"):
        publish(asked, author)
    actions.resolve_thread(user=author, thread=thread)
    publish(asked, author)


def test_only_an_admin_makes_rules_looser(constitution: Constitution, author: User, admin: User) -> None:
    assert actions.change_rules(user=author, constitution=constitution, rules=ONE)
    assert not actions.change_rules(user=author, constitution=constitution, rules=ONE)
    for looser in (Rules(), Rules(5, False), Rules(0, True, True)):
        with pytest.raises(actions.Refused, match="Only an admin"):
            actions.change_rules(user=author, constitution=constitution, rules=looser)
    with pytest.raises(actions.Refused, match="Between 0 and 10"):
        actions.change_rules(user=admin, constitution=constitution, rules=Rules(11))
    assert rules_of(constitution) == ONE
    actions.change_rules(user=admin, constitution=constitution, rules=Rules())
    assert PublishingRules.objects.count() == 1
    assert LedgerEntry.objects.filter(verb="constitution.change_rules").count() == 2


def test_those_concerned_are_told(asked: Constitution, author: User, admin: User, reviewer: User) -> None:
    say(reviewer, asked, CHANGES, "Too vague, @zoe and @nobody and @ADA.")
    publish_rules = Rules()
    actions.change_rules(user=admin, constitution=asked, rules=publish_rules)
    publish(asked, admin)
    told = {(row.person.username, row.verb) for row in Notification.objects.select_related("person")}
    assert told == {
        ("rex", "review.request"),
        ("zoe", "review.request"),
        ("ada", "review.verdict"),
        ("zoe", "review.verdict"),
        ("ada", "version.publish"),
        ("rex", "version.publish"),
    }
    assert not any("vague" in text for text in Notification.objects.values_list("text", flat=True))


def test_a_branch_keeps_to_the_rules_too(asked: Constitution, author: User) -> None:
    side = Draft.objects.create(constitution=asked, branch="side", updated_by=author, base=newest(asked))
    assert any("0 of 1" in line for line in reasons_against_publishing(side))


def test_approvals_of_many_slipped_versions_cost_no_more_queries(
    asked: Constitution, author: User, reviewer: User
) -> None:
    for number in range(3):
        if number:
            edit(asked, author, text=f"Be honest with everybody and {number}.")
            actions.request_review(user=author, draft=draft_of(asked))
        say(reviewer, asked)
        slip = "Be honest with everybody!" if not number else f"Be honest with everybody and {number}!"
        edit(asked, author, text=slip)
        publish(asked, author)

    def counted(versions: list[Version]) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert set(approvals_of(versions)) == {version.pk for version in versions}
        return [query["sql"] for query in captured]

    made = list(asked.versions.exclude(number=1).defer("canonical"))
    one, three = counted(made[:1]), counted(made)
    assert len(made) == 3 and len(one) == len(three) == 3
    assert '"body"' not in three[0] and "canonical" not in three[0]
