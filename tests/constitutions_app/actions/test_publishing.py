from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings

from constitutions_app import actions
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.core.principles import Principle, canonical_json, digest, digest_of_text, from_json
from constitutions_app.models import Constitution, LedgerEntry, Version
from tests.constitutions_app.factories import (
    BODY,
    EXEMPLAR,
    PRINCIPLES,
    draft_of,
    make_constitution,
    newest,
    principle_of,
)
from tests.constitutions_app.strategies import constitutions

pytestmark = pytest.mark.django_db


def publish(constitution: Constitution, user: User, note: str = "A note.", expected: int | None = None) -> Version:
    return actions.publish_version(user=user, draft=draft_of(constitution), note=note, expected=expected)


def edit(constitution: Constitution, user: User, key: str = "honesty", **changes: object) -> None:
    row = principle_of(constitution, key)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)


def test_it_freezes_the_draft_word_for_word(constitution: Constitution, author: User) -> None:
    edit(constitution, author, text="Be honest.")
    version = publish(constitution, author, "Shorter.")
    body = draft_of(constitution).to_core()
    assert (version.number, version.note, version.author) == (2, "Shorter.", author)
    assert version.canonical == canonical_json(body)
    assert version.digest == digest(body) == digest_of_text(version.canonical)
    assert version.to_core() == body
    assert version.parent == constitution.versions.get(number=1)
    assert draft_of(constitution).base == version
    assert [(row.key, row.position, row.text) for row in version.principles.all()] == [
        (item.id, position, item.text) for position, item in enumerate(body.principles, start=1)
    ]
    assert [row.body for row in version.principles.all()] == json.loads(version.canonical)["principles"]


def test_it_is_one_entry_in_the_ledger(constitution: Constitution, author: User) -> None:
    edit(constitution, author, text="Be honest.")
    version = publish(constitution, author)
    entry = LedgerEntry.objects.order_by("-seq")[0]
    assert entry.verb == "version.publish"
    assert json.loads(entry.body)["data"]["digest"] == version.digest


def test_later_edits_do_not_reach_a_published_version(constitution: Constitution, author: User) -> None:
    before = newest(constitution).canonical
    edit(constitution, author, text="Be honest.")
    assert newest(constitution).canonical == before


def test_going_back_to_older_words_can_be_published(constitution: Constitution, author: User) -> None:
    first = newest(constitution)
    edit(constitution, author, text="Be honest.")
    publish(constitution, author)
    actions.start_draft_from_version(user=author, draft=draft_of(constitution), version=first)
    third = publish(constitution, author, "Back to the first.")
    assert (third.number, third.digest) == (3, first.digest)
    assert third.parent is not None and third.parent.number == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (replace(BODY, principles=()), "no principle"),
        (replace(BODY, principles=(*PRINCIPLES, Principle(id="x", title="Empty", text=""))), "“Empty” has no text"),
        (replace(BODY, principles=(Principle(id="x", title="", text=""),)), "Principle 1 has no text"),
        (replace(BODY, principles=tuple(replace(item, enabled=False) for item in PRINCIPLES)), "No principle is enabl"),
        (replace(BODY, principles=tuple(replace(item, weight=0.0) for item in PRINCIPLES)), "No principle is enabled"),
        (replace(BODY, exemplars=(replace(EXEMPLAR, critique=""),)), "Exemplar 1 has no critique"),
    ],
)
def test_it_refuses_what_is_not_ready(author: User, body: Body, reason: str) -> None:
    made = make_constitution(author, body=body, published=False)
    with pytest.raises(actions.PublishRefused, match=reason):
        publish(made, author)
    assert not made.versions.exists()
    assert not LedgerEntry.objects.filter(verb="version.publish").exists()


@pytest.mark.parametrize("note", ["", "  \n ", "x" * 2001])
def test_it_refuses_an_empty_or_endless_note(author: User, note: str) -> None:
    made = make_constitution(author, published=False)
    with pytest.raises(actions.PublishRefused, match="note"):
        publish(made, author, note)
    assert not made.versions.exists()


def test_it_refuses_when_nothing_changed(constitution: Constitution, author: User) -> None:
    with pytest.raises(actions.PublishRefused, match="Nothing has changed since v1"):
        publish(constitution, author)


def test_it_refuses_words_that_nobody_has_read(constitution: Constitution, author: User) -> None:
    read = draft_of(constitution).revision
    edit(constitution, author, text="Slipped in.")
    with pytest.raises(actions.PublishRefused, match="changed while you were reading"):
        publish(constitution, author, expected=read)
    assert publish(constitution, author, expected=draft_of(constitution).revision).number == 2


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=constitutions)
def test_any_constitution_that_can_be_published_reads_back_the_same(author: User, body: Body) -> None:
    made = make_constitution(author, name="Any", body=body, published=False)
    draft = draft_of(made)
    try:
        version = publish(made, author)
    except actions.PublishRefused:
        assert not made.versions.exists()
        return
    assert version.to_core() == draft.to_core() == replace(body, name="Any")
    assert digest(from_json(version.canonical)) == version.digest


class TestStartingFromAVersion:
    def test_it_brings_the_words_back_and_keeps_the_replaced(self, constitution: Constitution, author: User) -> None:
        edit(constitution, author, text="Not published.")
        replaced = canonical_json(draft_of(constitution).to_core())
        version = newest(constitution)
        actions.start_draft_from_version(user=author, draft=draft_of(constitution), version=version)
        assert draft_of(constitution).to_core() == version.to_core()
        entry = LedgerEntry.objects.order_by("-seq")[0]
        assert json.loads(entry.body)["data"]["replaced"] == replaced

    def test_it_refuses_another_constitution_and_a_draft_that_says_the_same(
        self, constitution: Constitution, author: User
    ) -> None:
        other = make_constitution(author, name="Other")
        with pytest.raises(actions.Refused, match="another constitution"):
            actions.start_draft_from_version(user=author, draft=draft_of(constitution), version=newest(other))
        with pytest.raises(actions.Refused, match="already says"):
            actions.start_draft_from_version(user=author, draft=draft_of(constitution), version=newest(constitution))


class TestCreating:
    def test_the_address_comes_from_the_name_and_is_free(self, author: User) -> None:
        slugs = [actions.create_constitution(user=author, name=name).slug for name in ("A b", "A b", "New", "规则")]
        assert slugs == ["a-b", "a-b-2", "new-2", "constitution"]

    def test_it_refuses_an_empty_name_and_an_address_in_use(self, author: User) -> None:
        actions.create_constitution(user=author, name="One", slug="one")
        with pytest.raises(actions.Refused, match="already"):
            actions.create_constitution(user=author, name="Two", slug="one")
        with pytest.raises(actions.Refused, match="name"):
            actions.create_constitution(user=author, name="  ")

    def test_it_refuses_parts_that_do_not_fit_and_leaves_nothing(self, author: User) -> None:
        body = replace(BODY, principles=(replace(PRINCIPLES[0], title="x" * 201),))
        with pytest.raises(actions.Refused, match="title"):
            actions.create_constitution(user=author, name="Long", start=body)
        assert not Constitution.objects.exists()
