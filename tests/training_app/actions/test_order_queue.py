"""Ordering the queue: by priority, by place, then by age; every change once in the ledger."""

from __future__ import annotations

import pytest

from constitutions_app.models import LedgerEntry
from tests.training_app.factories import published_version, queued_run, running_run
from tests.training_app.scenes import engineer
from training_app import placement
from training_app.actions import cancel_run, move_run, pause_queue, prioritise_run, reopen_queue, resume_run
from training_app.models import Run, RunQueue
from training_app.refusals import SteeringRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs() -> list[Run]:
    version = published_version(engineer())
    return [queued_run(engineer(), version) for _ in range(4)]


def order() -> list[int]:
    return list(placement.queued().values_list("number", flat=True))


def verbs() -> list[str]:
    return list(LedgerEntry.objects.order_by("seq").values_list("verb", flat=True))


@pytest.mark.parametrize(
    ("who", "to", "expected"),
    [
        (3, "first", [4, 1, 2, 3]),
        (2, "earlier", [1, 3, 2, 4]),
        (1, "later", [1, 3, 2, 4]),
        (0, "last", [2, 3, 4, 1]),
    ],
)
def test_a_run_is_moved(runs: list[Run], who: int, to: str, expected: list[int]) -> None:
    move_run(user=engineer(), run=runs[who], to=to)
    assert order() == expected
    assert verbs() == ["run.move"]


def test_who_stands_there_already_is_not_moved(runs: list[Run]) -> None:
    move_run(user=engineer(), run=runs[0], to="first")
    move_run(user=engineer(), run=runs[0], to="earlier")
    move_run(user=engineer(), run=runs[3], to="later")
    assert (order(), verbs()) == ([1, 2, 3, 4], [])


def test_a_new_run_comes_behind_those_that_were_moved(runs: list[Run]) -> None:
    move_run(user=engineer(), run=runs[3], to="first")
    queued_run(engineer(), runs[0].version)
    assert order() == [4, 1, 2, 3, 5]
    move_run(user=engineer(), run=Run.objects.get(number=5), to="earlier")
    assert order() == [4, 1, 2, 5, 3]


def test_priority_comes_before_place(runs: list[Run]) -> None:
    move_run(user=engineer(), run=runs[1], to="first")
    prioritise_run(user=engineer(), run=runs[3], priority=1)
    prioritise_run(user=engineer(), run=runs[1], priority=-1)
    prioritise_run(user=engineer(), run=runs[1], priority=-1)
    assert order() == [4, 1, 3, 2]
    assert verbs() == ["run.move", "run.prioritise", "run.prioritise"]


def test_only_queued_runs_have_a_place(runs: list[Run]) -> None:
    for run in (running_run(engineer(), runs[0].version), cancel_run(user=engineer(), run=runs[0])):
        with pytest.raises(SteeringRefused, match="only a queued run has a place"):
            move_run(user=engineer(), run=run, to="first")
        with pytest.raises(SteeringRefused, match="only a queued run has a place"):
            prioritise_run(user=engineer(), run=run, priority=1)
    with pytest.raises(SteeringRefused, match="A priority is one of"):
        prioritise_run(user=engineer(), run=runs[1], priority=7)
    with pytest.raises(SteeringRefused, match="is moved first"):
        move_run(user=engineer(), run=runs[1], to="sideways")


def test_a_resumed_run_waits_where_its_number_says(runs: list[Run]) -> None:
    move_run(user=engineer(), run=runs[3], to="first")
    cancel_run(user=engineer(), run=runs[3])
    resume_run(user=engineer(), run=runs[3])
    assert order() == [1, 2, 3, 4]


def test_a_paused_queue_begins_nothing_until_it_is_opened(runs: list[Run]) -> None:
    queue = pause_queue(user=engineer(), reason="  moving disks ")
    pause_queue(user=engineer(), reason="again")
    assert (queue.paused, RunQueue.objects.get().reason) == (True, "moving disks")
    assert (placement.next_in_queue(), list(placement.candidates(runs[0].pk))) == (None, [])
    reopen_queue(user=engineer())
    reopen_queue(user=engineer())
    assert placement.next_in_queue() == runs[0].pk
    assert verbs() == ["run_queue.pause", "run_queue.open"]
