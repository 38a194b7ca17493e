"""Which run comes next, that a paused queue gives none away, and that no run is taken twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.conf import settings as django_settings
from django.utils import timezone

from tests.base import program_environment
from tests.training_app.factories import published_version, queued_run, running_run
from tests.training_app.scenes import engineer
from training_app import leases, placement, runner, tasks
from training_app.actions import pause_queue
from training_app.models import Run
from training_app.models.run import RunState

RUNS = 200
WORKER = """
import sys, uuid, django
django.setup()
from training_app import leases, placement
from training_app.models.run import RunState
print("ready", flush=True)
sys.stdin.readline()
taken = True
while taken:
    taken = False
    for pk in placement.candidates(uuid.UUID(int=0)):
        if (lease := leases.claim(pk, sys.argv[1])) is not None:
            print(pk, lease.token, flush=True)
            leases.finish(lease, RunState.SUCCEEDED)
            taken = True
            break
"""


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_racing_for_200_runs_none_takes_one_twice() -> None:
    """Two real processes against the real database; nothing but the claim itself keeps them apart."""
    boss, version = engineer(), published_version(engineer())
    Run.objects.bulk_create(
        Run(number=number, version=version, preset="demo", seed=7, created_by=boss, base_model={}, config={})
        for number in range(1, RUNS + 1)
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, name],
            cwd=django_settings.BASE_DIR, env=program_environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    taken = [worker.communicate(timeout=60)[0].splitlines() for worker in workers]
    assert all(taken), "one of the two took nothing: there was no race"
    found = Counter(line for lines in taken for line in lines)
    assert len(found) == RUNS and set(found.values()) == {1}
    assert set(Run.objects.values_list("state", "attempt", "fencing_token")) == {("succeeded", 1, 1)}


@pytest.mark.django_db
def test_the_run_whose_worker_went_away_comes_first_even_while_the_queue_is_paused() -> None:
    lost = running_run(engineer())
    Run.objects.filter(pk=lost.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    waiting = queued_run(engineer(), lost.version)
    assert list(placement.candidates(lost.pk)) == [lost.pk, waiting.pk]
    assert list(placement.candidates(waiting.pk)) == [waiting.pk]
    pause_queue(user=engineer())
    assert list(placement.candidates(lost.pk)) == [lost.pk]
    assert leases.claim(waiting.pk, "somebody") is None  # not even who knows its id gets it
    assert leases.claim(lost.pk, "somebody") is not None


@pytest.mark.django_db
def test_a_message_takes_the_first_of_the_queue_and_whoever_ends_rings_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = published_version(engineer())
    runs = [queued_run(engineer(), version) for _ in range(3)]
    Run.objects.filter(pk=runs[2].pk).update(priority=1)
    done: list[object] = []
    rung: list[object] = []

    def run_once(pk: UUID) -> RunState:
        done.append(pk)
        Run.objects.filter(pk=pk).update(state="cancelled", finished_at=timezone.now())
        return RunState.CANCELLED

    monkeypatch.setattr(runner, "run_once", run_once)
    monkeypatch.setattr(tasks, "wake", rung.append)
    tasks.advance_run(str(runs[0].pk))
    assert (done, rung) == ([runs[2].pk], [runs[0].pk])
    monkeypatch.setattr(runner, "run_once", lambda pk: RunState.QUEUED)  # the worker is being shut down
    tasks.advance_run(str(runs[0].pk))
    assert rung == [runs[0].pk]
    with placement.devices_held(placement.devices_of(os.environ)) as free:
        assert free
        monkeypatch.setattr(runner, "run_once", run_once)
        tasks.advance_run(str(runs[0].pk))  # another worker of this machine trains on the devices
    assert done == [runs[2].pk]


def test_devices_are_those_the_worker_was_given(tmp_path: Path) -> None:
    assert placement.devices_of({"CUDA_VISIBLE_DEVICES": "1, 0"}, device_files=tmp_path) == ("0", "1")
    assert placement.devices_of({"DEVICES": "cpu-2", "CUDA_VISIBLE_DEVICES": "1"}) == ("cpu-2",)
    assert placement.devices_of({}, device_files=tmp_path) == ("cpu",)
    for name in ("nvidia0", "nvidia1", "nvidiactl", "null"):
        (tmp_path / name).touch()
    assert placement.devices_of({"CUDA_VISIBLE_DEVICES": ""}, device_files=tmp_path) == ("0", "1")


def test_sets_that_share_a_device_exclude_each_other(tmp_path: Path, settings: LazySettings) -> None:
    settings.VAR_DIR = tmp_path
    with placement.devices_held(("0", "1")) as first, placement.devices_held(("1", "2")) as second:
        assert (first, second) == (True, False)
        with placement.devices_held(("2", "GPU/odd name")) as third:
            assert third  # the refused one let go of what it had
    with placement.devices_held(("1", "2")) as again:
        assert again
