"""What travels through the queue: ids only, to the gpu queue, and a second copy does nothing."""

from __future__ import annotations

import pytest

from cai_web.celery import app
from tests.training_app.factories import finished_run, running_run
from tests.training_app.scenes import engineer
from training_app import tasks
from training_app.models import Run


def test_the_queue_exists_and_messages_are_acknowledged_early() -> None:
    assert tasks.QUEUE in {queue.name for queue in app.conf.task_queues}
    assert app.conf.task_acks_late is False and app.conf.task_ignore_result is True


@pytest.mark.django_db
def test_a_message_about_a_run_that_somebody_has_or_that_has_ended_does_nothing() -> None:
    for run in (running_run(engineer()), finished_run(engineer()).run):
        before = Run.objects.values().get(pk=run.pk)
        tasks.advance_run(str(run.pk))
        assert Run.objects.values().get(pk=run.pk) == before


def test_a_message_that_is_no_id_is_refused() -> None:
    with pytest.raises(ValueError, match="badly formed"):
        tasks.advance_run("; rm -rf /")
