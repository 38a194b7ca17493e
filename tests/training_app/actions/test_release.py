"""Signing off, promoting, and the rules between the two."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.utils import DatabaseError

from constitutions_app.access import Role
from constitutions_app.models import LedgerEntry
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from training_app.actions import change_release_rules, promote_checkpoint, sign_off, withdraw_alias
from training_app.models import CheckpointAlias, SignOff
from training_app.refusals import ReleaseRefused
from training_app.releases import release_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_artifacts(tmp_path: Path, settings: LazySettings) -> None:
    settings.ARTIFACT_ROOT = tmp_path


@pytest.fixture
def made() -> FinishedRun:
    return factories.finished_run(somebody("ada", Role.ENGINEER))


def somebody(name: str, *roles: Role) -> User:
    user = factories.person(name, name=name.capitalize())
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def test_one_person_alone_can_release_while_no_rule_asks_for_more(made: FinishedRun) -> None:
    ada = made.run.created_by
    assert promote_checkpoint(user=ada, checkpoint=made.sft, name="production").checkpoint == made.sft
    assert promote_checkpoint(user=ada, checkpoint=made.rl, name="production").checkpoint == made.rl
    assert [alias.checkpoint for alias in CheckpointAlias.objects.all()] == [made.rl]
    moves = LedgerEntry.objects.filter(verb="checkpoint.promote").order_by("seq")
    assert [made.rl.digest in entry.body for entry in moves] == [False, True]


def test_production_waits_for_every_role_by_a_person_of_its_own(made: FinishedRun) -> None:
    boss = somebody("boss", Role.ADMIN)
    change_release_rules(user=boss, constitution=made.run.version.constitution, roles=["reviewer", "engineer"])
    rita, emil = somebody("rita", Role.REVIEWER, Role.ENGINEER), somebody("emil", Role.ENGINEER)
    assert len(release_of(made.rl).missing) == 2
    sign_off(user=rita, checkpoint=made.rl, role="reviewer", word="approve")
    sign_off(user=rita, checkpoint=made.rl, role="engineer", word="approve")
    with pytest.raises(ReleaseRefused, match="somebody who has not signed in another role"):
        promote_checkpoint(user=emil, checkpoint=made.rl, name="production")
    sign_off(user=made.run.created_by, checkpoint=made.rl, role="engineer", word="approve")
    with pytest.raises(ReleaseRefused, match="launched the run"):
        promote_checkpoint(user=emil, checkpoint=made.rl, name="production")
    promote_checkpoint(user=emil, checkpoint=made.rl, name="candidate")
    sign_off(user=emil, checkpoint=made.rl, role="engineer", word="approve")
    promote_checkpoint(user=emil, checkpoint=made.rl, name="production")
    assert {alias.name for alias in release_of(made.rl).aliases} == {"candidate", "production"}


def test_a_refusal_blocks_until_its_role_says_otherwise(made: FinishedRun) -> None:
    jonas = somebody("jonas", Role.AUDITOR)
    with pytest.raises(ReleaseRefused, match="why"):
        sign_off(user=jonas, checkpoint=made.rl, role="auditor", word="refuse")
    sign_off(user=jonas, checkpoint=made.rl, role="auditor", word="refuse", note="It evades every question.")
    with pytest.raises(ReleaseRefused, match="It evades every question"):
        promote_checkpoint(user=made.run.created_by, checkpoint=made.rl, name="production")
    sign_off(user=jonas, checkpoint=made.rl, role="auditor", word="approve")
    promote_checkpoint(user=made.run.created_by, checkpoint=made.rl, name="production")


def test_nobody_signs_in_a_role_they_do_not_have(made: FinishedRun) -> None:
    with pytest.raises(ReleaseRefused, match="a role that you have"):
        sign_off(user=somebody("jonas", Role.AUDITOR), checkpoint=made.rl, role="engineer", word="approve")
    with pytest.raises(ReleaseRefused, match="a role that you have"):
        sign_off(user=somebody("rita", Role.READER), checkpoint=made.rl, role="reader", word="approve")
    assert not SignOff.objects.exists()


def test_the_same_word_sent_twice_is_one(made: FinishedRun) -> None:
    jonas = somebody("jonas", Role.AUDITOR)
    twice = [sign_off(user=jonas, checkpoint=made.rl, role="auditor", word="approve") for _ in range(2)]
    assert twice[0] == twice[1]
    assert LedgerEntry.objects.filter(verb="checkpoint.sign_off").count() == 1


def test_a_checkpoint_whose_files_differ_is_not_promoted(made: FinishedRun) -> None:
    (made.rl.folder / "manifest.json").write_text("{}")
    with pytest.raises(ReleaseRefused, match="not the one the database knows"):
        promote_checkpoint(user=made.run.created_by, checkpoint=made.rl, name="production")


def test_only_an_admin_asks_for_less(made: FinishedRun) -> None:
    rita, constitution = somebody("rita", Role.REVIEWER), made.run.version.constitution
    assert change_release_rules(user=rita, constitution=constitution, roles=["auditor"])
    assert not change_release_rules(user=rita, constitution=constitution, roles=["auditor"])
    with pytest.raises(ReleaseRefused, match="Only an admin"):
        change_release_rules(user=rita, constitution=constitution, roles=["reviewer"])
    with pytest.raises(ReleaseRefused, match="can sign off"):
        change_release_rules(user=rita, constitution=constitution, roles=["auditor", "reader"])
    assert change_release_rules(user=somebody("boss", Role.ADMIN), constitution=constitution, roles=[])


def test_an_alias_is_taken_away_only_from_where_it_points(made: FinishedRun) -> None:
    ada = made.run.created_by
    promote_checkpoint(user=ada, checkpoint=made.rl, name="candidate")
    with pytest.raises(ReleaseRefused, match="does not point"):
        withdraw_alias(user=ada, checkpoint=made.sft, name="candidate")
    with pytest.raises(ReleaseRefused, match="becomes"):
        promote_checkpoint(user=ada, checkpoint=made.sft, name="favourite")
    withdraw_alias(user=ada, checkpoint=made.rl, name="candidate")
    assert not CheckpointAlias.objects.exists()


def test_what_somebody_signed_cannot_be_changed_by_raw_sql(made: FinishedRun) -> None:
    sign_off(user=somebody("jonas", Role.AUDITOR), checkpoint=made.rl, role="auditor", word="approve")
    connection.check_constraints()  # nothing may be pending, or TRUNCATE is refused for that
    for statement in (
        "UPDATE training_app_signoff SET word = 'refuse', note = 'x'",
        "DELETE FROM training_app_signoff",
        "TRUNCATE training_app_signoff",
    ):
        with pytest.raises(DatabaseError, match="frozen"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
