from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from constitutions_app import ledger
from constitutions_app.actions import add_principle, edit_principle
from constitutions_app.ledger import NotInTransaction, chained_hash, record, verify, verify_versions
from constitutions_app.models import Constitution, LedgerEntry
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db


@contextmanager
def triggers_off() -> Iterator[None]:
    """What only a superuser of the database can do: the very person the chain must hold against."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = origin")


def tamper(sql: str, *values: str | int) -> None:
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(sql, values)


@pytest.fixture
def entries(constitution: Constitution, author: User) -> list[LedgerEntry]:
    for title in ("One", "Two", "Three"):
        add_principle(user=author, draft=draft_of(constitution), title=title)
    return list(LedgerEntry.objects.order_by("seq"))


def sentences() -> list[str]:
    return [problem.sentence for problem in verify().problems]


def test_it_chains_every_entry_to_the_one_before(entries: list[LedgerEntry]) -> None:
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0].previous_hash == ledger.FIRST_PREVIOUS_HASH
    for before, entry in pairwise(entries):
        assert entry.previous_hash == before.hash
        assert entry.hash == chained_hash(before.hash, entry.body)
    assert verify().ok
    assert verify().head == f"5:{entries[-1].hash}"


def test_it_knows_which_verbs_there_are(entries: list[LedgerEntry]) -> None:
    assert ledger.verbs() == ["constitution.create", "draft.add_principle", "version.publish"]


def test_an_empty_ledger_verifies() -> None:
    assert verify() == ledger.LedgerCheck(0, "", ())
    assert ledger.verbs() == []


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_record_outside_a_transaction() -> None:
    user = User.objects.create_user("ada")
    with pytest.raises(NotInTransaction):
        record(actor=user, verb="test.nothing", obj=user, data={})
    assert not LedgerEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_verb_that_fails_leaves_no_entry() -> None:
    user = User.objects.create_user("ada")
    with pytest.raises(RuntimeError), transaction.atomic():
        record(actor=user, verb="test.fails", obj=user, data={})
        raise RuntimeError
    with transaction.atomic():
        record(actor=None, verb="test.works", obj=user, data={})
    assert [(entry.seq, entry.verb, entry.actor_name) for entry in LedgerEntry.objects.all()] == [
        (1, "test.works", "system")
    ]


@pytest.mark.parametrize("attack", [*ATTACKS, "nul\x00byte", "lone \ud800 surrogate"])
def test_it_records_hostile_text(author: User, attack: str) -> None:
    with transaction.atomic():
        record(actor=author, verb="test.attack", obj=author, data={"text": attack})
    assert verify().ok
    stored = json.loads(LedgerEntry.objects.get().body)["data"]["text"]
    assert stored == attack.encode("utf-8", "replace").decode()


def test_it_finds_an_altered_body(entries: list[LedgerEntry]) -> None:
    tamper(
        "UPDATE constitutions_app_ledgerentry SET body = replace(body, 'Two', 'Zwei') WHERE seq = %s", entries[3].seq
    )
    assert sentences() == ["Entry 4 was altered: its hash does not fit its body."]


def test_it_finds_an_altered_body_whose_hash_was_made_to_fit(entries: list[LedgerEntry]) -> None:
    body = entries[3].body.replace("Two", "Zwei")
    tamper(
        "UPDATE constitutions_app_ledgerentry SET body = %s, hash = %s WHERE seq = %s",
        body,
        chained_hash(entries[3].previous_hash, body),
        entries[3].seq,
    )
    assert sentences() == ["Entry 5 does not follow entry 4: one of the two was replaced."]


@pytest.mark.parametrize(
    ("column", "value"), [("verb", "draft.sing"), ("actor_name", "Eve"), ("object_id", "99"), ("object_label", "Other")]
)
def test_it_finds_an_altered_column(entries: list[LedgerEntry], column: str, value: str) -> None:
    tamper(f"UPDATE constitutions_app_ledgerentry SET {column} = %s WHERE seq = 2", value)  # noqa: S608
    assert sentences() == [f"Entry 2 was altered: {column} in the row differ from its body."]


def test_it_finds_an_altered_time(entries: list[LedgerEntry]) -> None:
    tamper("UPDATE constitutions_app_ledgerentry SET at = at - interval '1 day' WHERE seq = 2")
    assert sentences() == ["Entry 2 was altered: at in the row differ from its body."]


def test_it_finds_a_missing_entry(entries: list[LedgerEntry]) -> None:
    tamper("DELETE FROM constitutions_app_ledgerentry WHERE seq = 3")
    assert sentences() == ["Before entry 4, entry 3 is missing."]


def test_it_finds_several_missing_entries(entries: list[LedgerEntry]) -> None:
    tamper("DELETE FROM constitutions_app_ledgerentry WHERE seq IN (2, 3, 4)")
    assert sentences() == ["Before entry 5, entry 2 to 4 is missing."]


def test_it_finds_a_gap_that_was_closed(entries: list[LedgerEntry]) -> None:
    tamper("DELETE FROM constitutions_app_ledgerentry WHERE seq = 4")
    tamper("UPDATE constitutions_app_ledgerentry SET seq = 4 WHERE seq = 5")
    assert any("Entry 4" in sentence for sentence in sentences())


def test_it_finds_entries_that_changed_places(entries: list[LedgerEntry]) -> None:
    tamper("UPDATE constitutions_app_ledgerentry SET seq = -3 WHERE seq = 3")
    tamper("UPDATE constitutions_app_ledgerentry SET seq = 3 WHERE seq = 4")
    tamper("UPDATE constitutions_app_ledgerentry SET seq = 4 WHERE seq = -3")
    found = sentences()
    assert any("Entry 3" in sentence for sentence in found)
    assert any("Entry 4" in sentence for sentence in found)


def test_it_finds_that_the_newest_were_cut_off_when_a_head_was_kept(entries: list[LedgerEntry]) -> None:
    head = verify().head
    assert verify(head).ok
    tamper("DELETE FROM constitutions_app_ledgerentry WHERE seq = 5")
    assert verify().ok, "a chain alone cannot show this"
    assert not verify(head).ok
    assert "cut off" in verify(head).problems[0].sentence


def test_it_finds_a_version_whose_text_was_altered(entries: list[LedgerEntry]) -> None:
    assert verify_versions() == ledger.VersionsCheck(1, ())
    tamper("UPDATE constitutions_app_version SET canonical = replace(canonical, 'Honesty', 'Lying')")
    (problem,) = verify_versions().problems
    assert "test v1" in problem


def test_it_finds_a_version_that_the_ledger_does_not_know(entries: list[LedgerEntry]) -> None:
    tamper("DELETE FROM constitutions_app_ledgerentry WHERE verb = 'version.publish'")
    assert verify_versions().problems == ("Version test v1 is not in the ledger with this digest.",)


def test_the_command_says_what_it_checked(entries: list[LedgerEntry]) -> None:
    out = StringIO()
    call_command("verify_ledger", stdout=out)
    assert "5 entries" in out.getvalue()
    assert "1 published version" in out.getvalue()
    assert f"Head: 5:{entries[-1].hash}" in out.getvalue()


def test_the_command_fails_and_names_the_entry(entries: list[LedgerEntry]) -> None:
    tamper("UPDATE constitutions_app_ledgerentry SET actor_name = 'Eve' WHERE seq = 3")
    errors = StringIO()
    with pytest.raises(CommandError, match="1 problem, 5 entries"):
        call_command("verify_ledger", stderr=errors)
    assert "Entry 3" in errors.getvalue()


def test_every_save_of_an_autosave_is_one_entry_with_its_words(constitution: Constitution, author: User) -> None:
    before = LedgerEntry.objects.count()
    row = principle_of(constitution, "honesty")
    row = edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Be honest."})
    edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Be honest always."})
    bodies = [json.loads(entry.body) for entry in LedgerEntry.objects.order_by("seq")[before:]]
    assert [body["data"]["set"] for body in bodies] == [{"text": "Be honest."}, {"text": "Be honest always."}]
    assert {body["actor"]["name"] for body in bodies} == {"Ada"}
    assert {body["object"]["label"] for body in bodies} == {"Test"}


def test_two_constitutions_share_one_chain(author: User) -> None:
    make_constitution(author, name="One")
    make_constitution(author, name="Two")
    assert [entry.object_label for entry in LedgerEntry.objects.order_by("seq")] == ["One", "One", "Two", "Two"]
    assert verify().ok
