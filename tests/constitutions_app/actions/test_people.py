from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.access import Role, roles_of
from constitutions_app.models import LedgerEntry
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import make_person

pytestmark = pytest.mark.django_db


def verbs() -> list[str]:
    return list(LedgerEntry.objects.order_by("seq").values_list("verb", flat=True))


def test_an_invited_person_comes_in_once_by_the_link(admin: User) -> None:
    invitation = actions.invite_person(user=admin, username="grace", role=Role.AUTHOR, name="Grace", email="")
    assert roles_of(invitation.person) == {Role.AUTHOR}
    assert not invitation.person.has_usable_password()
    assert verbs() == ["person.invite"]
    token = invitation.path.partition("sesame=")[2]
    client = Client()
    assert client.get(invitation.path).status_code == 200
    client.post(reverse("sign_in_link"), {"sesame": token})
    assert client.get(reverse("constitutions:list")).status_code == 200
    again = Client()
    again.post(reverse("sign_in_link"), {"sesame": token})
    assert again.get(reverse("constitutions:list")).status_code == 302


def test_the_link_stands_in_no_row(admin: User) -> None:
    invitation = actions.invite_person(user=admin, username="grace", role=Role.READER)
    token = invitation.path.partition("sesame=")[2]
    assert not LedgerEntry.objects.filter(body__contains=token).exists()


@pytest.mark.parametrize("username", ["zoe", "ZOE", "", "with space", "x" * 151])
def test_it_refuses_names_in_use_or_unfit(admin: User, username: str) -> None:
    before = User.objects.count()
    with pytest.raises(actions.Refused):
        actions.invite_person(user=admin, username=username, role=Role.READER)
    assert User.objects.count() == before


def test_a_role_is_exchanged(admin: User, reader: User) -> None:
    assert roles_of(reader) == {Role.READER}
    actions.set_role(user=admin, person=reader, role=Role.ADMIN)
    assert roles_of(reader) == {Role.ADMIN}
    assert reader.is_staff
    actions.set_role(user=admin, person=reader, role=Role.AUTHOR)
    assert not User.objects.get(pk=reader.pk).is_staff
    actions.set_role(user=admin, person=reader, role=Role.AUTHOR)
    assert verbs() == ["person.set_role", "person.set_role"]


def test_there_is_always_an_admin(admin: User) -> None:
    with pytest.raises(actions.Refused, match="last admin"):
        actions.set_role(user=admin, person=admin, role=Role.READER)
    other = make_person("yan", Role.ADMIN)
    actions.deactivate_person(user=admin, person=other)
    with pytest.raises(actions.Refused, match="last admin"):
        actions.deactivate_person(user=other, person=admin)
    with pytest.raises(actions.Refused, match="yourself"):
        actions.deactivate_person(user=admin, person=admin)


def test_a_deactivated_person_is_out_at_once_and_can_come_back(admin: User, reader: User) -> None:
    client = signed_in(reader)
    assert client.get(reverse("constitutions:list")).status_code == 200
    actions.deactivate_person(user=admin, person=reader)
    assert client.get(reverse("constitutions:list")).status_code == 302
    with pytest.raises(actions.Refused):
        actions.make_sign_in_link(user=admin, person=reader)
    actions.reactivate_person(user=admin, person=reader)
    assert client.get(reverse("constitutions:list")).status_code == 200
    actions.make_sign_in_link(user=admin, person=reader)
    assert verbs() == ["person.deactivate", "person.reactivate", "person.make_link"]


def test_a_name_and_a_password_are_ones_own(reader: User) -> None:
    actions.rename_person(user=reader, name="  Rita   Levi ")
    assert User.objects.get(pk=reader.pk).get_full_name() == "Rita Levi"
    actions.rename_person(user=reader, name="Rita Levi")
    actions.change_password(user=reader, password="a long enough password")
    assert User.objects.get(pk=reader.pk).check_password("a long enough password")
    assert verbs() == ["person.rename", "person.change_password"]
    assert not LedgerEntry.objects.filter(body__contains="long enough").exists()
