"""The sweeper wakes workers without flooding the queue, and says the truth about runs that nobody runs."""

from __future__ import annotations

import os
from datetime import timedelta
from io import StringIO
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.utils import timezone

from constitutions_app import mailing, vectors
from constitutions_app.models import LedgerEntry
from tests.training_app.factories import queued_run, running_run
from tests.training_app.scenes import engineer
from training_app import leases
from training_app.models import Run
from training_app.sweeper import MOST_ATTEMPTS, Sweeper, Swept

pytestmark = pytest.mark.django_db


def abandoned(**values: Any) -> Run:
    """A run whose worker went away."""
    run = running_run(engineer())
    past = timezone.now() - timedelta(seconds=1)
    Run.objects.filter(pk=run.pk).update(lease_expires_at=past, **values)
    return Run.objects.get(pk=run.pk)


def test_it_rings_for_queued_runs_less_and_less_often() -> None:
    run = queued_run(engineer())
    now, rung = 0.0, list[UUID]()

    def wake(run_id: UUID) -> bool:
        rung.append(run_id)
        return True

    sweeper = Sweeper(wake, clock=lambda: now)
    for now in range(0, 200, 2):  # noqa: B007  # the clock reads it
        sweeper.sweep()
    assert rung == [run.pk] * 7  # after 0, 6, 16, 36, 76, 136 and 196 s
    Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=timezone.now())
    assert sweeper.sweep() == Swept()


def test_it_does_not_wait_for_the_lease_of_a_worker_it_sees_is_gone() -> None:
    run = running_run(engineer())
    soon = timezone.now() + timedelta(seconds=15)
    here = leases.new_owner()
    gone = here.replace(f":{os.getpid()}:", f":{2**22 + 5}:")
    for owner, requeued in ((here, 0), (f"elsewhere{gone}", 0), ("nobody knows", 0), (gone, 1)):
        Run.objects.filter(pk=run.pk).update(lease_owner=owner, lease_expires_at=soon)
        assert Sweeper(lambda run_id: True).sweep().requeued == requeued, owner
    assert Run.objects.get(pk=run.pk).state == "queued"


def test_it_requeues_a_run_whose_worker_went_away_and_fences_that_worker_off() -> None:
    run = abandoned()
    lease = leases.Lease(run.pk, run.lease_owner, run.fencing_token)
    assert Sweeper(lambda run: True).sweep() == Swept(requeued=1, woken=1)
    run = Run.objects.get(pk=run.pk)
    assert (run.state, run.lease_owner) == ("queued", "")
    assert "went away" in run.reason
    assert run.stages.get(slug="sft").state == "waiting"
    with pytest.raises(leases.LeaseLost):
        leases.renew(lease)
    assert LedgerEntry.objects.get(verb="run.requeue").object_id == str(run.pk)


def test_it_gives_up_a_run_that_loses_worker_after_worker() -> None:
    run = abandoned(attempt=MOST_ATTEMPTS)
    assert Sweeper(lambda run: True).sweep() == Swept(lost=1)
    run = Run.objects.get(pk=run.pk)
    assert run.state == "lost" and run.can_resume
    assert f"{MOST_ATTEMPTS} workers" in run.reason


def test_it_cancels_a_run_that_was_to_stop_and_lost_its_worker() -> None:
    run = abandoned(state="stopping", reason="ada asked it to stop.")
    assert Sweeper(lambda run: True).sweep() == Swept(cancelled=1)
    run = Run.objects.get(pk=run.pk)
    assert (run.state, run.reason) == ("cancelled", "ada asked it to stop.")


def test_it_leaves_alone_what_somebody_runs() -> None:
    running_run(engineer())
    assert Sweeper(lambda run: True).sweep() == Swept()


def test_the_command_sweeps_once_and_says_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training_app.management.commands.sweep.wake", lambda run: True)
    abandoned()
    out = StringIO()
    call_command("sweep", "--once", stdout=out)
    assert out.getvalue() == "1 requeued\n"


@pytest.mark.parametrize(("what", "wish"), [(mailing, "wake_for_mail"), (vectors, "wake_for_vectors")])
def test_it_asks_for_mail_and_vectors_that_wait_less_and_less_often(
    what: ModuleType, wish: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = 0.0, list[float]()

    def wake_up() -> bool:
        asked.append(now)
        return True

    wishes: dict[str, Any] = {wish: wake_up}
    sweeper = Sweeper(lambda run: True, clock=lambda: now, **wishes)
    assert sweeper.sweep() == Swept() and asked == []
    monkeypatch.setattr(what, "waits", lambda: True)
    for now in range(0, 40, 2):  # noqa: B007  # the clock reads it
        sweeper.sweep()
    assert asked == [0, 6, 16, 36]
