"""Cancelling and resuming: conditional on the state a run is really in, one ledger entry each."""

from __future__ import annotations

import pytest
from django.utils import timezone

from constitutions_app.models import LedgerEntry
from tests.training_app.factories import finished_run, queued_run, running_run
from tests.training_app.scenes import engineer
from training_app.actions import cancel_run, resume_run
from training_app.models import Run
from training_app.refusals import SteeringRefused

pytestmark = pytest.mark.django_db


def verbs() -> list[str]:
    return list(LedgerEntry.objects.order_by("seq").values_list("verb", flat=True))


def test_a_queued_run_is_cancelled_at_once() -> None:
    run = cancel_run(user=engineer(), run=queued_run(engineer()))
    assert (run.state, run.reason) == ("cancelled", "Cancelled by engineer before it began.")
    assert run.finished_at is not None and verbs() == ["run.cancel"]


def test_a_running_run_is_asked_to_stop_once() -> None:
    run = running_run(engineer())
    assert cancel_run(user=engineer(), run=run).state == "stopping"
    assert cancel_run(user=engineer(), run=run).state == "stopping"
    assert verbs() == ["run.cancel"]


def test_an_ended_run_is_not_cancelled() -> None:
    run = finished_run(engineer()).run
    with pytest.raises(SteeringRefused, match="has already ended"):
        cancel_run(user=engineer(), run=run)
    assert Run.objects.get(pk=run.pk).state == "succeeded" and verbs() == []


@pytest.mark.parametrize("state", ["failed", "cancelled", "lost"])
def test_an_ended_unfinished_run_goes_back_into_the_queue(state: str) -> None:
    run = running_run(engineer())
    Run.objects.filter(pk=run.pk).update(
        state=state, finished_at=timezone.now(), reason="r", advice="a", exit_code=-9, attempt=5, lease_expires_at=None
    )
    run.stages.filter(slug="sft").update(state="failed", reason="r", exit_code=-9)
    run = resume_run(user=engineer(), run=run)
    assert (run.state, run.reason, run.advice, run.exit_code, run.attempt) == ("queued", "", "", None, 0)
    states = dict(run.stages.values_list("slug", "state"))
    assert (states["generate"], states["revise"], states["sft"]) == ("succeeded", "succeeded", "waiting")
    assert verbs() == ["run.resume"]


def test_a_run_that_is_under_way_or_has_succeeded_is_not_resumed() -> None:
    for run in (queued_run(engineer()), running_run(engineer()), finished_run(engineer()).run):
        with pytest.raises(SteeringRefused, match="only an ended, unfinished run"):
            resume_run(user=engineer(), run=run)
    assert verbs() == []
