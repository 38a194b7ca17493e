"""Several people at once, each in a transaction of their own: no deadlock, no gap in the chain, no word lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.core.interchange import Imported
from constitutions_app.ledger import verify, verify_versions
from constitutions_app.models import Constitution, Draft, Import, LedgerEntry, Thread, Verdict
from constitutions_app.reviewing import Rules
from tests.constitutions_app.factories import BODY, draft_of, make_constitution, make_person, newest, principle_of

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*jobs: Callable[[], object]) -> list[object]:
    """Run all jobs in threads; an expected refusal is an answer, any other exception fails the test."""

    def run(job: Callable[[], object]) -> object:
        try:
            return job()
        except (actions.Conflict, actions.Gone, actions.PublishRefused, actions.Refused) as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def ask_why(user: User, draft: Draft, quote: str, *, replacement: str | None = None) -> Thread:
    """A thread on these words of the principle about honesty."""
    return actions.open_thread(
        user=user, draft=draft, key="honesty", field="text", quote=quote, body="Why?", replacement=replacement
    )


WAITING = """SELECT count(*) FROM pg_locks AS waiting WHERE NOT granted AND EXISTS (
    SELECT FROM pg_locks AS held JOIN pg_database ON pg_database.oid = held.database
    WHERE held.pid = waiting.pid AND datname = current_database())"""
"""How many locks are waited for in this database; another worker's tests have theirs on the same server."""


def after(change: Callable[[], object], *jobs: Callable[[], object]) -> list[object]:
    """What the jobs answer when they begin before `change` is committed, and have to wait for it."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            change()
            answers = pool.submit(at_once, *jobs)
            waiting = 0
            while waiting < len(jobs) and not answers.done():
                cursor.execute(WAITING)
                waiting = cursor.fetchone()[0]
            assert waiting == len(jobs), "every one of them waits for the same row"
        return answers.result()


def test_a_branch_closed_between_reading_and_writing_is_changed_by_nobody() -> None:
    ada, grace = make_person("ada", Role.ADMIN), make_person("grace", Role.REVIEWER)
    made = make_constitution(ada)
    side = actions.start_branch(user=ada, version=newest(made), name="side")
    row = principle_of(made, "honesty", "side")
    review = actions.request_review(user=ada, draft=side)
    thread = ask_why(grace, side, "Say", replacement="Tell")
    suggestion = thread.comments.get().suggestion
    before, entries = draft_of(made, "side").to_core(), LedgerEntry.objects.count()
    file = actions.ImportedFile(Imported("writ-json", BODY), "rules.json", b"")
    answers = after(
        lambda: actions.close_branch(user=ada, draft=side),
        lambda: actions.edit_principle(user=ada, principle=row, expected=row.revision, changes={"text": "x"}),
        lambda: actions.add_principle(user=ada, draft=side, title="x"),
        lambda: actions.remove_principle(user=ada, principle=row),
        lambda: actions.edit_preamble(user=ada, draft=side, expected="", text="x"),
        lambda: actions.declare_edits(user=ada, draft=side, kinds={"honesty": "minor"}),
        lambda: actions.import_into_draft(user=ada, draft=side, file=file, way="replace"),
        lambda: actions.start_draft_from_version(user=ada, draft=side, version=newest(made)),
        lambda: actions.publish_version(user=ada, draft=side, note="So."),
        lambda: ask_why(grace, side, "true"),
        lambda: actions.reply(user=grace, thread=thread, body="!"),
        lambda: actions.apply_suggestion(user=ada, suggestion=suggestion),
        lambda: actions.give_verdict(
            user=grace, review=review, word=Verdict.Word.APPROVE, expected=draft_of(made, "side").revision
        ),
        lambda: actions.dismiss_hint(user=ada, principle=row, slug="vague", words="x"),
    )
    assert [str(answer) for answer in answers if "closed" not in str(answer)] == []
    assert draft_of(made, "side").to_core() == before
    assert LedgerEntry.objects.count() == entries + 1


def test_an_alias_waits_for_rules_that_are_being_made_stricter() -> None:
    ada = make_person("ada", Role.ADMIN)
    made = make_constitution(ada)
    (answer,) = after(
        lambda: actions.change_rules(user=ada, constitution=made, rules=Rules(required_approvals=1)),
        lambda: actions.move_alias(user=ada, constitution=made, name="approved", version=newest(made)),
    )
    assert "0 of the 1 approval" in str(answer) and not made.aliases.exists()


def test_a_thread_and_an_answer_sent_twice_at_once_are_said_once() -> None:
    ada = make_person("ada", Role.AUTHOR)
    made = make_constitution(ada)
    at_once(*[lambda: ask_why(ada, draft_of(made), "true")] * 3)
    thread = Thread.objects.get()
    at_once(*[lambda: actions.reply(user=ada, thread=thread, body="So.")] * 3)
    at_once(*[lambda: actions.reply(user=ada, thread=thread, body="So.", replacement="so")] * 3)
    assert [comment.body for comment in thread.comments.all()] == ["Why?", "So.", "So."]
    assert LedgerEntry.objects.filter(verb__startswith="thread.").count() == 3


def test_of_two_saves_from_one_revision_one_wins_and_the_other_is_told() -> None:
    ada, grace = make_person("ada", Role.AUTHOR), make_person("grace", Role.AUTHOR)
    made = make_constitution(ada)
    row = principle_of(made, "honesty")

    def save(user: object, text: str) -> Callable[[], object]:
        return lambda: actions.edit_principle(
            user=ada if user is ada else grace, principle=row, expected=row.revision, changes={"text": text}
        )

    answers = at_once(save(ada, "Ada's."), save(grace, "Grace's."))
    assert sum(isinstance(answer, actions.Conflict) for answer in answers) == 1
    assert principle_of(made, "honesty").text in {"Ada's.", "Grace's."}


def test_publishing_twice_at_once_makes_one_version() -> None:
    ada = make_person("ada", Role.AUTHOR)
    made = make_constitution(ada, published=False)

    def publish() -> object:
        return actions.publish_version(user=ada, draft=draft_of(made), note="First.")

    answers = at_once(publish, publish, publish)
    assert sum(isinstance(answer, actions.PublishRefused) for answer in answers) == 2
    assert [version.number for version in made.versions.all()] == [1]


def test_two_scenarios_of_one_title_at_once_are_both_kept() -> None:
    ada = make_person("ada", Role.AUTHOR)
    made = make_constitution(ada)

    def write() -> object:
        return actions.create_scenario(user=ada, constitution=made, title="Coast", prompt="Where?")

    at_once(write, write, write, write)
    assert set(made.scenarios.values_list("key", flat=True)) == {"coast", "coast-2", "coast-3", "coast-4"}


def test_an_import_written_twice_at_once_makes_one_constitution() -> None:
    ada = make_person("ada", Role.AUTHOR)
    kept = actions.keep_upload(user=ada, name="rules.json", data=b"")
    found = Imported("writ-json", BODY)

    def write() -> object:
        file = actions.ImportedFile(found, "rules.json", b"", upload=kept.pk)
        return actions.create_constitution(user=ada, name="Rules", start=BODY, file=file)

    answers = at_once(write, write, write)
    assert sum(isinstance(answer, actions.AlreadyWritten) for answer in answers) == 2
    assert Constitution.objects.count() == Import.objects.count() == 1


def test_everything_at_once_keeps_the_chain_and_the_order_whole() -> None:
    ada = make_person("ada", Role.AUTHOR)
    made = make_constitution(ada)

    def edit(number: int) -> Callable[[], object]:
        def job() -> object:
            row = principle_of(made, "honesty")
            return actions.edit_principle(
                user=ada, principle=row, expected=row.revision, changes={"text": f"Text {number}."}
            )

        return job

    def add(number: int) -> Callable[[], object]:
        return lambda: actions.add_principle(user=ada, draft=draft_of(made), title=f"Rule {number}", text="x")

    def move(number: int) -> Callable[[], object]:
        return lambda: actions.move_principle(user=ada, principle=principle_of(made, "kindness"), to=number)

    def publish(number: int) -> Callable[[], object]:
        return lambda: actions.publish_version(user=ada, draft=draft_of(made), note=f"Note {number}.")

    at_once(*(make(number) for number in range(3) for make in (edit, add, move, publish)))
    assert verify().ok
    assert verify_versions().problems == ()
    numbers = sorted(version.number for version in made.versions.all())
    assert numbers == list(range(1, len(numbers) + 1))
    assert set(draft_of(made).principles.values_list("key", flat=True)) == {
        *("honesty", "privacy", "kindness"),
        *(f"rule-{number}" for number in range(3)),
    }
    assert LedgerEntry.objects.filter(verb="draft.add_principle").count() == 3


def test_a_button_pressed_twice_makes_one_constitution_and_invites_one_person() -> None:
    ada = make_person("ada", Role.ADMIN)
    at_once(*[lambda: actions.create_constitution(user=ada, name="Kindness")] * 5)
    answers = at_once(*[lambda: actions.invite_person(user=ada, username="grace", role=Role.READER)] * 5)
    assert sum(isinstance(answer, actions.Invitation) for answer in answers) == 1
    assert all("already" in str(answer) for answer in answers if isinstance(answer, actions.Refused))
    assert verify().ok
