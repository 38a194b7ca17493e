"""The lease goes on through a database that is away for a moment, however its driver says so."""

from __future__ import annotations

import uuid

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError

from tests.base import wait_for
from training_app import leases
from training_app.heartbeat import Heartbeat
from training_app.models.run import RunState

LEASE = leases.Lease(uuid.UUID(int=1), "ada", 1)


@pytest.mark.parametrize("outage", [OperationalError, InterfaceError, DatabaseError])
@pytest.mark.django_db(transaction=True)
def test_a_renewal_that_finds_no_database_is_tried_again(
    outage: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def renew(lease: leases.Lease) -> RunState:
        asked.append(1)
        if len(asked) < 3:
            raise outage("the connection is closed")
        return RunState.STOPPING

    monkeypatch.setattr(leases, "renew", renew)
    with Heartbeat(LEASE, every_s=0.01) as heartbeat:
        wait_for(heartbeat.check, what="the wish to stop")
    assert len(asked) >= 3
