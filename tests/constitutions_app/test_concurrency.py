"""Several people at once, each in a transaction of their own: no deadlock, no gap in the chain, no word lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.ledger import verify, verify_versions
from constitutions_app.models import LedgerEntry
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, principle_of

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
