"""One thing makes one scenario, also for a button that is pressed twice at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import connection

from constitutions_app.models import Scenario
from tests.training_app.factories import chat_turn, finished_run
from tests.training_app.scenes import engineer
from training_app.actions import make_scenario, make_scenario_of_chat


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_once_make_one_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes to writing waits there for the other, who must not come so far before the first has written."""
    made = finished_run(engineer())
    user, turn = made.run.created_by, chat_turn(made)
    presses: list[tuple[str, Callable[[], Scenario]]] = [
        ("make_scenario", lambda: make_scenario(user=user, item=made.labels[0])),
        ("make_scenario", lambda: make_scenario(user=user, item=made.steps[0])),
        ("chat", lambda: make_scenario_of_chat(user=user, turn=turn)),
    ]
    for number, (name, press) in enumerate(presses, start=1):
        module, both = sys.modules[f"training_app.actions.{name}"], Barrier(2)
        write = module.create_scenario

        def patient(both: Barrier = both, write: Callable[..., Scenario] = write, **said: Any) -> Scenario:
            with suppress(BrokenBarrierError):  # alone, as it should be
                both.wait(timeout=0.3)
            return write(**said)

        def pressed(press: Callable[[], Scenario] = press) -> int:
            try:
                return press().pk
            finally:
                connection.close()

        with monkeypatch.context() as patch, ThreadPoolExecutor(2) as people:
            patch.setattr(module, "create_scenario", patient)
            first, second = [one.result() for one in [people.submit(pressed) for _ in range(2)]]
        assert first == second and Scenario.objects.count() == number
