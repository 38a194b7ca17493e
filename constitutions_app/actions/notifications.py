"""What people do with their own notifications. Only the choice about e-mail is in the ledger: reading is private."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from constitutions_app.ledger import record
from constitutions_app.models import MailChoice, Notification


def mark_read(*, user: User, notification: Notification | None = None) -> int:
    """Mark one of the person's notifications read, or all of them. Returns how many were not before."""
    unread = Notification.objects.filter(person=user, read_at__isnull=True)
    if notification is not None:
        unread = unread.filter(pk=notification.pk)
    return unread.update(read_at=timezone.now())


def choose_mail(*, user: User, by_mail: bool) -> bool:
    """Whether notifications come by e-mail too. False when it was so already."""
    with transaction.atomic():
        before = MailChoice.objects.filter(person=user).first()
        if (before.by_mail if before else True) == by_mail:
            return False
        MailChoice.objects.update_or_create(person=user, defaults={"by_mail": by_mail})
        if not by_mail:
            Notification.objects.filter(person=user, mail_due=True, mailed_at__isnull=True).update(mail_due=False)
        record(actor=user, verb="person.choose_mail", obj=user, data={"by_mail": by_mail})
    return True
