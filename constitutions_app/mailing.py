"""Notifications by e-mail. Which are due stands in their rows; a message through the queue only says "look".

A row is locked while its mail is sent and marked before the lock is given back, so two workers never send one twice.
Only a worker that dies between the two can; the mail's Message-ID is then the same, and mail programs show it once.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from constitutions_app.models import Notification

TOO_OLD = timedelta(days=3)
"""What could not be sent for so long is no news any more; it still stands in the app."""

HEARD = timedelta(minutes=1)
"""In this time a worker has heard of what is due."""

log = logging.getLogger(__name__)


def is_on() -> bool:
    """Whether this installation sends e-mail at all."""
    return bool(settings.EMAIL_URL)


def send_due() -> int:
    """Send every mail that is due. Returns how many could not be sent; their rows stay due."""
    failed: list[int] = []
    while (outcome := _send_next(failed)) is not None:
        if not outcome[1]:
            failed.append(outcome[0])
    return len(failed)


def waits() -> bool:
    """Whether a mail is due for longer than its wake-up takes: it was lost with the queue, or with its worker."""
    return is_on() and _due().filter(created_at__lt=timezone.now() - HEARD).exists()


def _due() -> QuerySet[Notification]:
    return Notification.objects.filter(mail_due=True, mailed_at__isnull=True, created_at__gt=timezone.now() - TOO_OLD)


def _send_next(failed: list[int]) -> tuple[int, bool] | None:
    """One mail: its notification's id and whether it went out. None when no other is due."""
    with transaction.atomic():
        locked = (
            _due().exclude(pk__in=failed).select_related("person").select_for_update(skip_locked=True, of=("self",))
        )
        row = locked.order_by("created_at").first()
        if row is None:
            return None
        try:
            _mail_of(row).send()
        except (SMTPException, OSError):
            log.warning("The e-mail for notification %s could not be sent.", row.pk, exc_info=True)
            return row.pk, False
        Notification.objects.filter(pk=row.pk).update(mailed_at=timezone.now())
    return row.pk, True


def _mail_of(row: Notification) -> EmailMessage:
    host = urlsplit(settings.SITE_URL).hostname or "localhost"
    lines = (
        row.text,
        f"{settings.SITE_URL}{row.url}",
        f"You can switch these messages off: {settings.SITE_URL}/account/",
    )
    return EmailMessage(
        subject=row.text,
        body="\n\n".join(lines) + "\n",
        to=[row.person.email],
        headers={"Message-ID": f"<notification-{row.pk}@{host}>", "Auto-Submitted": "auto-generated"},
    )
