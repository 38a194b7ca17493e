"""E-mail: after commit, once, not to those who want none, and never at all where no server is named."""

from __future__ import annotations

import socket
from email import message_from_bytes, policy
from smtplib import SMTPException
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from constitutions_app import actions, mailing, notices, tasks
from constitutions_app.models import LedgerEntry, Notification

pytestmark = pytest.mark.django_db

URL = "/constitutions/test/draft/review/"


@pytest.fixture
def on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """E-mail is on; what would go through the queue is noted."""
    settings.EMAIL_URL, settings.SITE_URL = "memorymail://", "https://writ.example"
    sent: list[str] = []
    monkeypatch.setattr(tasks.mail_notifications, "apply_async", lambda **_: sent.append("ring"))
    return sent


def tell(actor: User, *people: User, text: str = "Ada asks for a review") -> None:
    User.objects.filter(pk__in=[person.pk for person in people]).update(email="someone@example.org")
    for person in people:
        person.refresh_from_db()
    notices.notify(actor=actor, people=people, verb="review.request", text=text, url=URL)


def test_it_is_sent_once_and_says_where_to_look(
    on: list[str], author: User, reviewer: User, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        tell(author, reviewer, author)
        assert on == [], "not before the commit"
    assert on == ["ring"]
    tasks.mail_notifications()
    tasks.mail_notifications()
    (letter,) = mail.outbox
    row = Notification.objects.get()
    assert (letter.to, letter.subject) == (["someone@example.org"], "Ada asks for a review")
    assert f"https://writ.example{URL}" in letter.body
    assert letter.extra_headers["Message-ID"] == f"<notification-{row.pk}@writ.example>"
    assert row.mailed_at is not None


def test_a_hostile_name_cannot_write_headers(on: list[str], author: User, reviewer: User) -> None:
    tell(author, reviewer, text="Ada\r\nBcc: all@example.org\u202e" + "x" * 400)
    mailing.send_due()
    (letter,) = mail.outbox
    assert letter.message()["Bcc"] is None
    assert "\u202e" not in letter.subject
    assert len(letter.subject) == 300


def test_those_who_want_none_get_none(on: list[str], author: User, reviewer: User, admin: User) -> None:
    assert actions.choose_mail(user=reviewer, by_mail=False)
    assert not actions.choose_mail(user=reviewer, by_mail=False)
    tell(author, reviewer, admin)
    actions.choose_mail(user=admin, by_mail=False)
    mailing.send_due()
    assert mail.outbox == []
    assert Notification.objects.filter(read_at=None).count() == 2, "they are told in the app all the same"
    actions.choose_mail(user=admin, by_mail=True)
    mailing.send_due()
    assert mail.outbox == [], "switching it on again brings no old letters"
    assert LedgerEntry.objects.filter(verb="person.choose_mail").count() == 3


def test_without_a_server_nothing_is_due(author: User, reviewer: User, settings: Any) -> None:
    assert settings.EMAIL_URL == ""
    tell(author, reviewer)
    assert not Notification.objects.filter(mail_due=True).exists()


def test_what_cannot_be_sent_stays_due_and_holds_up_nobody(
    on: list[str], author: User, reviewer: User, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(author, reviewer, admin)
    send, tried = EmailMessage.send, []

    def once_broken(self: EmailMessage, *args: object) -> int:
        tried.append(self)
        if len(tried) == 1:
            raise SMTPException("no")
        return send(self)

    monkeypatch.setattr(EmailMessage, "send", once_broken)
    assert mailing.send_due() == 1
    assert (len(mail.outbox), Notification.objects.filter(mailed_at=None).count()) == (1, 1)
    assert mailing.send_due() == 0
    assert len(mail.outbox) == 2


def test_a_queue_that_is_away_undoes_nothing(
    on: list[str],
    author: User,
    reviewer: User,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def away(**_: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(tasks.mail_notifications, "apply_async", away)
    with django_capture_on_commit_callbacks(execute=True):
        tell(author, reviewer)
    assert Notification.objects.filter(mail_due=True, mailed_at=None).count() == 1


def test_reading_is_ones_own(author: User, reviewer: User, admin: User) -> None:
    tell(author, reviewer, admin)
    mine = Notification.objects.get(person=reviewer)
    assert actions.mark_read(user=admin, notification=mine) == 0
    assert actions.mark_read(user=reviewer, notification=mine) == 1
    assert actions.mark_read(user=reviewer) == 0
    assert actions.mark_read(user=admin) == 1


def test_mail_whose_wake_up_was_lost_is_found_by_its_age(on: list[str], author: User, reviewer: User) -> None:
    tell(author, reviewer)
    assert not mailing.waits(), "its own wake-up is still under way"
    Notification.objects.update(created_at=timezone.now() - mailing.HEARD)
    assert mailing.waits() and tasks.wake_for_mail() and on == ["ring"]
    mailing.send_due()
    assert len(mail.outbox) == 1 and not mailing.waits()
    Notification.objects.update(created_at=timezone.now() - mailing.TOO_OLD, mailed_at=None)
    assert not mailing.waits(), "what is no news any more wakes nobody"


class Box:
    """What a mail server keeps."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 kept"


def test_it_arrives_through_a_real_conversation_with_a_mail_server(
    on: list[str], settings: Any, author: User, reviewer: User
) -> None:
    box = Box()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        tell(author, reviewer, text="Ada asks for a review of “Härte”")
        tasks.mail_notifications()
        tasks.mail_notifications()
    finally:
        server.stop()
    (envelope,) = box.envelopes
    assert isinstance(envelope.content, bytes)
    letter = message_from_bytes(envelope.content, policy=policy.default)
    assert (envelope.mail_from, envelope.rcpt_tos) == ("writ@localhost", ["someone@example.org"])
    assert letter["Subject"] == "Ada asks for a review of “Härte”"
    assert letter["Auto-Submitted"] == "auto-generated"
    body = letter.get_body()
    assert body is not None and f"https://writ.example{URL}" in body.get_content()


def test_a_mail_server_that_is_away_costs_time_and_no_mail(
    on: list[str], settings: Any, author: User, reviewer: User
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    tell(author, reviewer)
    assert mailing.send_due() == 1
    assert Notification.objects.get().mailed_at is None
