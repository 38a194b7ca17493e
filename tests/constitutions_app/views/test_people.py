from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app.access import Role, roles_of
from constitutions_app.models import LedgerEntry
from tests.constitutions_app.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(admin: User) -> Client:
    return signed_in(admin)


def test_an_invitation_shows_its_link_once(client: Client) -> None:
    response = client.post(
        reverse("invite"), {"username": "grace", "name": "Grace <b>", "email": "g@example.org", "role": "author"}
    )
    html = response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]
    link = re.search(r"http://testserver(/sign-in/link/\?sesame=[\w-]+)", html)
    assert link is not None
    assert "Grace &lt;b&gt;" in html and "writes constitutions" in html
    guest = Client()
    guest.post(reverse("sign_in_link"), {"sesame": link.group(1).partition("=")[2]})
    assert guest.get(reverse("constitutions:create")).status_code == 200
    assert guest.get(reverse("people")).status_code == 403


@pytest.mark.parametrize("data", [{"username": "zoe"}, {"username": ""}, {"username": "a b"}, {"role": "god"}])
def test_a_bad_invitation_says_why_and_keeps_what_was_typed(client: Client, data: dict[str, str]) -> None:
    before = User.objects.count()
    response = client.post(reverse("invite"), {"username": "grace", "role": "reader", "name": "Kept", **data})
    assert response.status_code == 422
    assert "Kept" in response.content.decode()
    assert User.objects.count() == before


def test_roles_change_and_the_last_admin_stays(client: Client, admin: User, reader: User) -> None:
    client.post(reverse("person_role", args=[reader.pk]), {"role": "engineer"})
    assert roles_of(User.objects.get(pk=reader.pk)) == {Role.ENGINEER}
    html = client.post(reverse("person_role", args=[admin.pk]), {"role": "reader"}, follow=True).content.decode()
    assert "last admin" in html
    client.post(reverse("person_role", args=[reader.pk]), {"role": ""})
    assert roles_of(User.objects.get(pk=reader.pk)) == {Role.ENGINEER}
    assert client.post(reverse("person_role", args=[999999]), {"role": "reader"}).status_code == 404


def test_people_are_shut_out_and_let_in_again(client: Client, admin: User, reader: User) -> None:
    client.post(reverse("person_deactivate", args=[reader.pk]))
    assert not User.objects.get(pk=reader.pk).is_active
    assert "deactivated" in client.get(reverse("people")).content.decode()
    refused = client.post(reverse("person_link", args=[reader.pk]), follow=True).content.decode()
    assert "Reactivate the account" in refused
    client.post(reverse("person_reactivate", args=[reader.pk]))
    assert User.objects.get(pk=reader.pk).is_active
    assert "/sign-in/link/" in client.post(reverse("person_link", args=[reader.pk])).content.decode()
    assert "yourself" in client.post(reverse("person_deactivate", args=[admin.pk]), follow=True).content.decode()


class TestAccount:
    def test_a_name_is_saved(self, reader: User) -> None:
        signed_in(reader).post(reverse("account"), {"form": "name", "name": "Rita Levi"})
        assert User.objects.get(pk=reader.pk).get_full_name() == "Rita Levi"

    def test_a_first_password_is_set_and_the_session_stays(self, reader: User) -> None:
        reader.set_unusable_password()
        reader.save()
        client = signed_in(reader)
        data = {"form": "password", "new_password1": "four random words", "new_password2": "four random words"}
        assert client.post(reverse("account"), data).status_code == 302
        assert client.get(reverse("account")).status_code == 200
        assert User.objects.get(pk=reader.pk).check_password("four random words")
        assert LedgerEntry.objects.get().verb == "person.change_password"

    def test_a_password_is_changed_only_by_who_knows_it(self, reader: User) -> None:
        reader.set_password("four random words")
        reader.save()
        client = signed_in(reader)
        new = {"form": "password", "new_password1": "other random words", "new_password2": "other random words"}
        assert client.post(reverse("account"), {**new, "old_password": "wrong"}).status_code == 422
        assert client.post(reverse("account"), {**new, "old_password": "four random words"}).status_code == 302
        assert User.objects.get(pk=reader.pk).check_password("other random words")

    @pytest.mark.parametrize("password", ["short", "1234567890123", "password1234"])
    def test_a_weak_password_is_refused(self, reader: User, password: str) -> None:
        reader.set_unusable_password()
        reader.save()
        data = {"form": "password", "new_password1": password, "new_password2": password}
        assert signed_in(reader).post(reverse("account"), data).status_code == 422
