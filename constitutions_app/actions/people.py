"""Verbs about people: inviting by one-time link, roles, names and passwords. Nobody is ever deleted."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse
from sesame.utils import get_query_string

from constitutions_app.access import Role, roles_of
from constitutions_app.actions.drafting import Refused
from constitutions_app.ledger import record


@dataclass(frozen=True)
class Invitation:
    """A person and the path of a link that signs them in once. Show the path once; it is not stored anywhere."""

    person: User
    path: str


def invite_person(*, user: User, username: str, role: Role, name: str = "", email: str = "") -> Invitation:
    """Make an account without a password, and a one-time sign-in link for it. Raises Refused for a name in use."""
    username = username.strip()
    with transaction.atomic():
        taken = Refused(f"There is a person “{username}” already. Choose another name, or make a new link for them.")
        if User.objects.filter(username__iexact=username).exists():
            raise taken
        person = User(username=username, first_name=name.strip(), email=email.strip())
        person.set_unusable_password()
        try:
            person.full_clean(exclude=["password"])
        except ValidationError as error:
            raise Refused(next(iter(error.message_dict.values()))[0]) from error
        try:
            with transaction.atomic():
                person.save()
        except IntegrityError as error:  # invited at this very moment: a button pressed twice, most often
            raise taken from error
        _give(person, role)
        record(actor=user, verb="person.invite", obj=person, data={"role": role.value})
    return Invitation(person, _sign_in_path(person))


def make_sign_in_link(*, user: User, person: User) -> Invitation:
    """A fresh one-time link for somebody who has no password, or has lost it. Raises Refused for the deactivated."""
    if not person.is_active:
        raise Refused(f"{person} is deactivated. Reactivate the account, then make a link.")
    with transaction.atomic():
        record(actor=user, verb="person.make_link", obj=person, data={})
    return Invitation(person, _sign_in_path(person))


def set_role(*, user: User, person: User, role: Role) -> None:
    """Give a person another role. Raises Refused when that would leave nobody to invite people."""
    with transaction.atomic():
        before = sorted(held.value for held in roles_of(person))
        if before == [role.value]:
            return
        if role is not Role.ADMIN:
            _keep_an_admin(person)
        _give(person, role)
        record(actor=user, verb="person.set_role", obj=person, data={"role": role.value, "before": before})


def deactivate_person(*, user: User, person: User) -> None:
    """Shut a person out at once, sessions and tokens included; what they wrote stays theirs."""
    if person.pk == user.pk:
        raise Refused("You cannot deactivate yourself. Ask another admin.")
    with transaction.atomic():
        if not person.is_active:
            return
        _keep_an_admin(person)
        _set_active(person, False)
        record(actor=user, verb="person.deactivate", obj=person, data={})


def reactivate_person(*, user: User, person: User) -> None:
    """Let a deactivated person in again, with the role they had."""
    with transaction.atomic():
        if person.is_active:
            return
        _set_active(person, True)
        record(actor=user, verb="person.reactivate", obj=person, data={})


def rename_person(*, user: User, name: str) -> None:
    """Change how one's own name is shown. Entries of the ledger keep the name that was true when they were written."""
    name = " ".join(name.split())
    if user.get_full_name() == name:
        return
    with transaction.atomic():
        user.first_name, user.last_name = name, ""
        user.save(update_fields=["first_name", "last_name"])
        record(actor=user, verb="person.rename", obj=user, data={"name": name})


def change_password(*, user: User, password: str) -> None:
    """Set one's own password. Links that were made before stop working."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        record(actor=user, verb="person.change_password", obj=user, data={})


def _sign_in_path(person: User) -> str:
    return reverse("sign_in_link") + str(get_query_string(person))


def _set_active(person: User, active: bool) -> None:
    person.is_active = active
    person.save(update_fields=["is_active"])


def _give(person: User, role: Role) -> None:
    """Make `role` the person's only role. Admins also see the admin site."""
    groups = Group.objects.filter(name__in=Role.values)
    person.groups.remove(*groups)
    person.groups.add(Group.objects.get_or_create(name=role.value)[0])
    person.is_staff = role is Role.ADMIN
    person.is_superuser = False
    person.save(update_fields=["is_staff", "is_superuser"])
    for cache in ("_roles", "_perm_cache", "_user_perm_cache", "_group_perm_cache"):
        person.__dict__.pop(cache, None)


def _keep_an_admin(person: User) -> None:
    """Raise Refused if `person` is the last active admin; locks the admins, so that two cannot resign at once."""
    locked = User.objects.select_for_update(of=("self",)).filter(is_active=True)
    groups = set(locked.filter(groups__name=Role.ADMIN.value).values_list("pk", flat=True))
    admins = groups | set(locked.filter(is_superuser=True).values_list("pk", flat=True))
    if admins == {person.pk}:
        raise Refused("This is the last admin. Make somebody else an admin first.")
