from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.actions import branching
from constitutions_app.actions.draft_parts import text_revision
from constitutions_app.core.merge import Written
from constitutions_app.histories import history_of
from constitutions_app.ledger import verify, verify_versions
from constitutions_app.lineages import sides_of
from constitutions_app.models import Constitution, Draft, LedgerEntry, Version
from tests.constitutions_app.factories import EXEMPLAR, draft_of, make_constitution, make_person, newest, principle_of

pytestmark = pytest.mark.django_db


def edit(draft: Draft, user: User, key: str, **changes: Any) -> None:
    row = principle_of(draft.constitution, key, draft.branch)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)


def publish(draft: Draft, user: User) -> Version:
    return actions.publish_version(user=user, draft=draft, note="A note.")


@pytest.fixture
def branch(constitution: Constitution, author: User) -> Draft:
    return actions.start_branch(user=author, version=newest(constitution), name="Softer tone")


def last() -> Any:
    return json.loads(LedgerEntry.objects.order_by("-seq")[0].body)


def test_a_branch_begins_with_the_words_of_its_version(branch: Draft, constitution: Constitution, author: User) -> None:
    assert branch.address == "test@softer-tone"
    assert branch.to_core() == newest(constitution).to_core() == constitution.draft.to_core()
    assert (branch.base, last()["verb"]) == (newest(constitution), "branch.start")
    edit(branch, author, "honesty", text="Be honest.")
    assert draft_of(constitution).to_core() != draft_of(constitution, "softer-tone").to_core()


@pytest.mark.parametrize("name", ["", "  ", "main", "Main", "Softer tone", "!!!"])
def test_a_branch_needs_a_name_of_its_own(branch: Draft, constitution: Constitution, author: User, name: str) -> None:
    with pytest.raises(actions.Refused):
        actions.start_branch(user=author, version=newest(constitution), name=name)
    assert constitution.drafts.count() == 2


def test_a_closed_branch_publishes_nothing_and_can_be_reopened(branch: Draft, author: User) -> None:
    edit(branch, author, "honesty", text="Be honest.")
    actions.close_branch(user=author, draft=branch)
    with pytest.raises(actions.PublishRefused, match="closed"):
        publish(branch, author)
    actions.reopen_branch(user=author, draft=branch)
    assert publish(branch, author).branch == "softer-tone"
    with pytest.raises(actions.Refused):
        actions.close_branch(user=author, draft=branch.constitution.draft)


def test_numbers_count_through_all_branches(branch: Draft, constitution: Constitution, author: User) -> None:
    edit(branch, author, "honesty", text="Be honest.")
    edit(draft_of(constitution), author, "honesty", text="Be very honest.")
    two, three = publish(branch, author), publish(draft_of(constitution), author)
    assert [(row.number, row.branch, str(row.parent)) for row in (two, three)] == [
        (2, "softer-tone", "v1"),
        (3, "main", "v1"),
    ]
    assert verify().ok and not verify_versions().problems


def test_merging_brings_in_both_sides_and_makes_two_parents(
    branch: Draft, constitution: Constitution, author: User
) -> None:
    edit(branch, author, "privacy", text="Do not help to follow or track people who have not agreed to it.")
    edit(draft_of(constitution), author, "honesty", text="Say only what is true and mark what is uncertain.")
    side = publish(branch, author)
    kept = principle_of(constitution, "kindness")
    draft = actions.merge_version(user=author, draft=draft_of(constitution), version=side, choices={})
    texts = dict(draft.principles.values_list("key", "text"))
    assert "follow or track" in texts["privacy"] and "only what" in texts["honesty"]
    assert principle_of(constitution, "kindness").revision == kept.revision, "a save of other words still fits"
    assert json.loads(last()["data"]["replaced"])["principles"][0]["id"] == "honesty"
    merged = publish(draft_of(constitution), author)
    assert (merged.parent, merged.second_parent) == (constitution.versions.get(number=1), side)
    assert dict(merged.principles.values_list("key", "since")) == {"honesty": 3, "privacy": 2, "kindness": 1}
    assert draft_of(constitution).merging_id is None
    with pytest.raises(actions.Refused, match="history already"):
        actions.merge_version(user=author, draft=draft_of(constitution), version=side, choices={})


def test_a_second_merge_starts_from_the_first(branch: Draft, constitution: Constitution, author: User) -> None:
    edit(branch, author, "privacy", text="Ask before you track anybody.")
    actions.merge_version(user=author, draft=draft_of(constitution), version=publish(branch, author), choices={})
    publish(draft_of(constitution), author)
    edit(draft_of(constitution), author, "privacy", text="Ask twice before you track anybody.")
    edit(draft_of(constitution, "softer-tone"), author, "privacy", text="Ask before you track anybody at all.")
    side = publish(draft_of(constitution, "softer-tone"), author)
    draft = actions.merge_version(user=author, draft=draft_of(constitution), version=side, choices={})
    assert draft.principles.get(key="privacy").text == "Ask twice before you track anybody at all."


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("ours", "Say what is clear and mark what is uncertain."),
        ("theirs", "Say what is sure and mark what is uncertain."),
        ("base", "Say what is true and mark what is uncertain."),
        ("both", "Say what is clear sure and mark what is uncertain."),
        (Written("plain <b>"), "Say what is plain <b> and mark what is uncertain."),
    ],
)
def test_a_conflict_becomes_what_was_chosen(
    branch: Draft, constitution: Constitution, author: User, choice: Any, expected: str
) -> None:
    edit(branch, author, "honesty", text="Say what is sure and mark what is uncertain.")
    edit(draft_of(constitution), author, "honesty", text="Say what is clear and mark what is uncertain.")
    side = publish(branch, author)
    draft = draft_of(constitution)
    with pytest.raises(actions.Refused, match="Not every conflict"):
        actions.merge_version(user=author, draft=draft, version=side, choices={})
    with pytest.raises(actions.Refused, match="changed while"):
        actions.merge_version(user=author, draft=draft, version=side, choices={}, expected=99)
    assert draft_of(constitution).to_core() == draft.to_core(), "nothing was changed"
    key = "principles/honesty/text/1"
    merged = actions.merge_version(
        user=author, draft=draft, version=side, choices={key: choice}, expected=draft.revision
    )
    assert merged.principles.get(key="honesty").text == expected


def test_one_merge_at_a_time(branch: Draft, constitution: Constitution, author: User) -> None:
    other = actions.start_branch(user=author, version=newest(constitution), name="other")
    edit(branch, author, "privacy", text="Ask first.")
    edit(other, author, "kindness", text="Be kind.")
    first, second = publish(branch, author), publish(other, author)
    actions.merge_version(user=author, draft=draft_of(constitution), version=first, choices={})
    with pytest.raises(actions.Refused, match="Publish it, then merge v3"):
        actions.merge_version(user=author, draft=draft_of(constitution), version=second, choices={})


def test_a_fork_remembers_and_can_be_merged_back(constitution: Constitution, author: User) -> None:
    fork = actions.fork_constitution(user=author, version=newest(constitution), name="Our own")
    assert (fork.slug, fork.forked_from) == ("our-own", newest(constitution))
    edit(fork.draft, author, "privacy", text="Ask before you track anybody.")
    edit(draft_of(constitution), author, "honesty", text="Be honest.")
    publish(draft_of(constitution), author)
    theirs = publish(draft_of(fork), author)
    draft = actions.merge_version(user=author, draft=draft_of(constitution), version=theirs, choices={})
    assert dict(draft.principles.values_list("key", "text"))["privacy"] == "Ask before you track anybody."
    merged = publish(draft_of(constitution), author)
    assert merged.second_parent == theirs
    assert merged.to_core().name == "Test", "a constitution keeps its own name"


def test_strangers_keep_all_words_of_both(constitution: Constitution, author: User) -> None:
    other = make_constitution(author, name="Other")
    row = principle_of(other, "privacy")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Something else."})
    theirs = publish(draft_of(other), author)
    sides = sides_of(draft_of(constitution), theirs)
    assert (sides.ancestor, sides.base.principles, sides.already_merged) == (None, (), False)


def test_a_fork_that_merges_first_descends_from_both(constitution: Constitution, author: User) -> None:
    edit(draft_of(constitution), author, "honesty", text="Say only what is true.")
    two = publish(draft_of(constitution), author)
    side = actions.start_branch(user=author, version=two.parent or two, name="Side")
    edit(side, author, "privacy", text="Ask before you track anybody.")
    three = publish(side, author)
    fork = actions.fork_constitution(user=author, version=two, name="Ours")
    draft = actions.merge_version(user=author, draft=draft_of(fork), version=three, choices={})
    assert sides_of(draft, two).ancestor == two, "what was forked is still in its history"
    publish(draft, author)
    assert sides_of(draft_of(fork), two).already_merged


def test_words_typed_in_a_fork_belong_to_who_typed_them(constitution: Constitution, author: User) -> None:
    grace = make_person("grace", Role.AUTHOR)
    fork = actions.fork_constitution(user=author, version=newest(constitution), name="Ours")
    edit(draft_of(fork), grace, "honesty", text="Say what is true and mark every doubt.")
    history = history_of(publish(draft_of(fork), author), "honesty")
    assert history.moments[0].typed_by == ("Grace",)
    assert "Grace" in {words.person for words in dict(history.fields)["text"]}


def test_a_merge_that_was_thrown_away_can_be_made_again(
    branch: Draft, constitution: Constitution, author: User
) -> None:
    edit(branch, author, "privacy", text="Ask before you track anybody.")
    side = publish(branch, author)
    actions.merge_version(user=author, draft=draft_of(constitution), version=side, choices={})
    first = constitution.versions.get(number=1)
    actions.start_draft_from_version(user=author, draft=draft_of(constitution), version=first)
    assert draft_of(constitution).merging_id is None
    draft = actions.merge_version(user=author, draft=draft_of(constitution), version=side, choices={})
    assert draft.principles.get(key="privacy").text == "Ask before you track anybody."


def test_a_merge_that_becomes_more_than_a_draft_holds_is_refused(
    branch: Draft, constitution: Constitution, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = draft_of(constitution)
    for draft, words in ((branch, "Begins so. Why these rules."), (main, "Why these rules. Ends so.")):
        actions.edit_preamble(user=author, draft=draft, expected=text_revision(draft.preamble), text=words)
    theirs = publish(branch, author)
    monkeypatch.setattr(branching, "MAX_PREAMBLE", 30)
    with pytest.raises(actions.Refused, match="the preamble would have 36 characters; 30 are the most"):
        actions.merge_version(user=author, draft=main, version=theirs, choices={})
    monkeypatch.setattr(branching, "MAX_PREAMBLE", 36)
    actions.merge_version(user=author, draft=main, version=theirs, choices={})
    assert draft_of(constitution).preamble == "Begins so. Why these rules. Ends so."


def test_a_merge_brings_no_more_exemplars_than_a_prompt_can_carry(
    branch: Draft, constitution: Constitution, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = draft_of(constitution)
    for draft, word in ((branch, "theirs"), (main, "ours")):
        made = [*draft.to_core().exemplars, replace(EXEMPLAR, prompt=word)]
        revision = text_revision(draft.exemplars)
        actions.edit_exemplars(user=author, draft=draft, expected=revision, exemplars=made)
    theirs = publish(branch, author)
    monkeypatch.setattr(branching, "MAX_EXEMPLARS", 2)
    with pytest.raises(actions.Refused, match="would hold 3 exemplars; 2 are the most"):
        actions.merge_version(user=author, draft=main, version=theirs, choices={})
    assert draft_of(constitution).merging is None and len(draft_of(constitution).exemplars) == 2
