"""What travels through the queue for constitutions: the wish that some worker look at mail, or at texts."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.db import transaction

from constitutions_app import mailing, vectors

RETRIES = 5
FIRST_PAUSE_S = 60

log = logging.getLogger(__name__)


@shared_task(name="constitutions_app.mail_notifications", bind=True, ignore_result=True, max_retries=RETRIES)
def mail_notifications(self: Any) -> None:
    """Send what is due, and look again later, ever more rarely, while something could not be sent."""
    if mailing.send_due():
        raise self.retry(countdown=FIRST_PAUSE_S * 2**self.request.retries)


def ring() -> None:
    """Ask for it once the surrounding transaction is committed. A queue that cannot be reached undoes nothing."""
    if mailing.is_on():
        transaction.on_commit(wake_for_mail, robust=True)


@shared_task(name="constitutions_app.embed_principles", ignore_result=True)
def embed_principles() -> None:
    """Make the vectors that are missing. The sweeper asks for it within seconds of a save."""
    vectors.embed_missing()


def wake_for_mail() -> bool:
    """Put one wake-up into the queue. False when the queue cannot be reached: that costs time, never a mail."""
    return _wake(mail_notifications)


def wake_for_vectors() -> bool:
    """As `wake_for_mail`, for texts whose vectors are missing."""
    return _wake(embed_principles)


def _wake(task: Any) -> bool:
    try:
        task.apply_async(queue="default")
    except Exception:  # whatever the broker's client raises: the rows stay due, and the sweeper finds them
        log.warning("The queue cannot be reached; the sweeper will ask for %s again.", task.name, exc_info=True)
        return False
    return True
