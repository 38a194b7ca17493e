"""Scenes for tests of queues: auditors, a finished run, and queues of its labels and steps."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group, User

from constitutions_app.access import Role
from tests.training_app.scenes import engineer
from training_app.actions import choose_blind, create_queue, decide, take_next
from training_app.actions.create_queue import QueuePlan
from training_app.actions.judge_in_queue import Said
from training_app.models import AuditQueue, Reservation


def auditor(name: str) -> User:
    """Somebody who judges."""
    user = User.objects.create_user(name, password="only for tests")
    user.groups.add(Group.objects.get(name=Role.AUDITOR))
    return user


def queue_of(kind: str = "labels", *, people: tuple[User, ...] = (), **changes: Any) -> AuditQueue:
    """A queue of everything there is, by chance, one person an item."""
    plan = QueuePlan(**{"name": "First look", "kind": kind, "rule": "uniform", "size": 100, **changes})
    return create_queue(user=engineer(), plan=plan, people=people)


def taken(user: User, queue: AuditQueue) -> Reservation:
    """What the person is given; fails when there is nothing."""
    given = take_next(user=user, queue=queue)
    assert given is not None
    return given


def judged(user: User, queue: AuditQueue, blind: str = "a", **said: Any) -> Reservation:
    """One item taken, chosen blind and decided."""
    given = taken(user, queue)
    choose_blind(user=user, reservation=given, key=uuid4(), choice=blind, seconds=4)
    decide(user=user, reservation=given, audit_id=uuid4(), said=Said(**said))
    return given
