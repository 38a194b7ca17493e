"""Leases: never two owners, whatever several workers, the sweeper and people do in whatever order."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import TransactionTestCase
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests.training_app.factories import queued_run
from tests.training_app.scenes import engineer
from training_app import leases
from training_app.models import Run
from training_app.models.run import RunState
from training_app.sweeper import Sweeper

WORKERS = ("ada", "ben", "cleo")
DEEDS = ("claim", "renew", "hold", "give_back", "finish")
EVENTS = st.one_of(
    st.tuples(st.sampled_from(WORKERS), st.sampled_from(DEEDS)),
    st.tuples(st.just("time"), st.just("expires")),
    st.tuples(st.just("sweeper"), st.just("sweeps")),
    st.tuples(st.just("people"), st.just("stop")),
)


class World:
    """What must be true after each deed, kept beside the database in plain Python."""

    def __init__(self) -> None:
        self.run = queued_run(engineer())
        self.leases: dict[str, leases.Lease] = {}
        self.owner: str | None = None
        self.state = "queued"
        self.expired = False

    def do(self, who: str, deed: str) -> None:
        getattr(self, f"_{deed}")(who)
        run = Run.objects.get(pk=self.run.pk)
        assert run.state == self.state
        owners = [name for name, lease in self.leases.items() if owns(lease)]
        assert owners == ([self.owner] if self.owner else [])

    def _claim(self, who: str) -> None:
        free = self.state == "queued" or (self.state in ("running", "stopping") and self.expired)
        lease = leases.claim(self.run.pk, who)
        assert (lease is not None) == free
        if lease is not None:
            self.leases[who] = lease
            self.owner, self.expired = who, False
            self.state = "stopping" if self.state == "stopping" else "running"

    def _renew(self, who: str) -> None:
        self._effect(who, lambda lease: leases.renew(lease), prolongs=True)

    def _hold(self, who: str) -> None:
        self._effect(who, hold, prolongs=True)

    def _give_back(self, who: str) -> None:
        if who in self.leases:
            leases.give_back(self.leases[who])
            if who == self.owner and self.state == "running":
                self.owner, self.state, self.expired = None, "queued", False

    def _finish(self, who: str) -> None:
        def finish(lease: leases.Lease) -> None:
            leases.finish(lease, RunState.FAILED, reason="told to")

        if self._effect(who, finish):
            self.owner, self.state, self.expired = None, "failed", False

    def _effect(self, who: str, deed: Callable[[leases.Lease], Any], *, prolongs: bool = False) -> bool:
        if who not in self.leases:
            return False
        if who != self.owner:
            with pytest.raises(leases.LeaseLost):
                deed(self.leases[who])
            return False
        deed(self.leases[who])
        self.expired = self.expired and not prolongs
        return True

    def _expires(self, _: str) -> None:
        if self.state in ("running", "stopping"):
            Run.objects.filter(pk=self.run.pk).update(lease_expires_at=timezone.now() - leases.DURATION)
            self.expired = True

    def _sweeps(self, _: str) -> None:
        Run.objects.filter(pk=self.run.pk).update(attempt=1)
        Sweeper(lambda run: True).sweep()
        if self.expired:
            self.owner, self.expired = None, False
            self.state = "queued" if self.state == "running" else "cancelled"

    def _stop(self, _: str) -> None:
        if self.state == "running":
            Run.objects.filter(pk=self.run.pk).update(state="stopping")
            self.state = "stopping"


def hold(lease: leases.Lease) -> None:
    with transaction.atomic():
        leases.hold(lease)


def owns(lease: leases.Lease) -> bool:
    """Whether this lease could write now, asked without prolonging it."""
    return Run.objects.filter(pk=lease.run_id, fencing_token=lease.token, state__in=("running", "stopping")).exists()


class LeaseProperties(TestCase):
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(EVENTS, max_size=25))
    def test_never_two_owners(self, events: list[tuple[str, str]]) -> None:
        world = World()
        for who, deed in events:
            world.do(who, deed)


@pytest.mark.django_db
def test_a_claim_counts_and_raises_the_token() -> None:
    run = queued_run(engineer())
    first = leases.claim(run.pk, "ada")
    assert first is not None and leases.claim(run.pk, "ben") is None
    Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() - leases.DURATION)
    second = leases.claim(run.pk, "ben")
    assert second is not None and second.token == first.token + 1
    run = Run.objects.get(pk=run.pk)
    assert (run.attempt, run.lease_owner, run.state) == (2, "ben", "running")
    assert run.started_at is not None and run.lease_is_alive()
    with pytest.raises(leases.LeaseLost):
        leases.finish(first, RunState.SUCCEEDED)


@pytest.mark.django_db(transaction=True)
def test_hold_is_refused_outside_a_transaction() -> None:
    run = queued_run(engineer())
    lease = leases.claim(run.pk, "ada")
    assert lease is not None
    with pytest.raises(RuntimeError, match="inside transaction"):
        leases.hold(lease)


class Race(TransactionTestCase):
    def test_of_four_workers_racing_for_twenty_runs_each_run_goes_to_one(self) -> None:
        person = engineer()
        first = queued_run(person)
        runs = [first.pk, *(queued_run(person, first.version).pk for _ in range(19))]
        won: list[tuple[Any, str]] = []
        start = threading.Barrier(4)

        def race(name: str) -> None:
            try:
                start.wait()
                for run in runs:
                    if leases.claim(run, name) is not None:
                        won.append((run, name))
            finally:
                connection.close()

        threads = [threading.Thread(target=race, args=(f"worker {n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(run for run, _ in won) == Counter(runs)
        assert set(Run.objects.values_list("fencing_token", "attempt")) == {(1, 1)}
