"""Telling people what concerns them: rows in the app, and e-mail for those who have it. Called inside a verb.

A notification names who did what to which constitution, and never quotes what anybody wrote: it may be read on a
locked phone's screen, and principles speak of harmful things.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db.models.functions import Lower

from constitutions_app import mailing, tasks
from constitutions_app.access import Role, people_with_role
from constitutions_app.ledger import name_of
from constitutions_app.models import MailChoice, Notification

MAX_MENTIONS = 20
_MENTION = re.compile(r"(?<![\w@.+-])@([\w.@+-]{1,150})")


def notify(*, actor: User, people: Iterable[User], verb: str, text: str, url: str) -> None:
    """Tell each of `people` once, but neither the one who did it nor who can no longer sign in."""
    told = {person.pk: person for person in people if person.is_active and person.pk != actor.pk}
    if not told:
        return
    mailed = _wants_mail(told.values())
    Notification.objects.bulk_create(
        Notification(person=person, verb=verb, text=_one_line(text), url=url, mail_due=person.pk in mailed)
        for person in told.values()
    )
    if mailed:
        tasks.ring()


def mentioned_in(text: str) -> list[User]:
    """The people with a role whose sign-in names stand in a text as @name."""
    names = {match.rstrip(".-+@").lower() for match in _MENTION.findall(text)}
    if not names:
        return []
    people = people_with_role(*Role).annotate(lower=Lower("username"))
    return list(people.filter(lower__in=names).order_by("pk")[:MAX_MENTIONS])


def named(person: User) -> str:
    """A person's name for a notification."""
    return _one_line(name_of(person))


def wants_mail(person: User) -> bool:
    """Whether the person chose e-mail; so it is where nothing was chosen. One query."""
    return not MailChoice.objects.filter(person=person, by_mail=False).exists()


def _wants_mail(people: Iterable[User]) -> frozenset[int]:
    if not mailing.is_on():
        return frozenset()
    ids = {person.pk for person in people if person.email}
    declined = MailChoice.objects.filter(person__in=ids, by_mail=False).values_list("person_id", flat=True)
    return frozenset(ids - set(declined))


def _one_line(text: str) -> str:
    """Without line ends and hidden marks, so that it can stand in a mail's subject."""
    shown = "".join(" " if unicodedata.category(sign)[0] == "C" else sign for sign in text)
    plain = " ".join(shown.split())
    return plain if len(plain) <= 300 else f"{plain[:299]}…"
