from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import PermissionDenied
from django.http import Http404

from constitutions_app import access
from constitutions_app.access import Role, can_write, has_role, roles_of
from constitutions_app.models import Constitution
from tests.constitutions_app.factories import make_person

pytestmark = pytest.mark.django_db


def test_there_is_a_group_for_every_role() -> None:
    assert set(Role.values) <= set(Group.objects.values_list("name", flat=True))


def test_roles_are_groups_and_admins_have_them_all(admin: User, author: User, stranger: User) -> None:
    assert roles_of(author) == {Role.AUTHOR}
    assert has_role(author) and has_role(author, Role.AUTHOR) and not has_role(author, Role.ENGINEER)
    assert has_role(admin, Role.ENGINEER) and can_write(admin)
    assert not has_role(stranger)
    assert not has_role(AnonymousUser())


def test_superusers_are_admins_and_the_deactivated_are_nobody() -> None:
    root = User.objects.create_superuser("root")
    assert roles_of(root) == {Role.ADMIN}
    root.is_active = False
    assert not has_role(root)


def test_every_role_says_what_it_is_for() -> None:
    assert all(role.duty for role in Role)


@pytest.mark.parametrize("role", [Role.READER, Role.REVIEWER, Role.AUDITOR, Role.ENGINEER])
def test_who_does_not_write_still_reads(constitution: Constitution, role: Role) -> None:
    person = make_person("pat", role)
    assert access.get_draft_for(person, "test").constitution == constitution
    assert access.get_version_for(person, "test", 1).number == 1
    for forbidden in (
        lambda: access.get_editable_draft_for(person, "test"),
        lambda: access.get_draft_principle_for(person, "test", "honesty"),
        lambda: access.get_person_for(person, person.pk),
    ):
        with pytest.raises(PermissionDenied):
            forbidden()


def test_a_stranger_is_refused_before_anything_is_looked_up(stranger: User) -> None:
    for ask in (
        lambda: access.get_constitution_for(stranger, "nothing"),
        lambda: access.get_draft_for(stranger, "nothing"),
        lambda: access.get_version_for(stranger, "nothing", 1),
        lambda: access.get_principle_for(stranger, "nothing", 1, "x"),
        lambda: access.get_ledger_entry_for(stranger, 1),
        lambda: access.get_constitution_for(AnonymousUser(), "nothing"),
    ):
        with pytest.raises(PermissionDenied):
            ask()


def test_what_is_not_there_is_404(reader: User, constitution: Constitution) -> None:
    for ask in (
        lambda: access.get_constitution_for(reader, "nothing"),
        lambda: access.get_version_for(reader, "test", 9),
        lambda: access.get_principle_for(reader, "test", 1, "nothing"),
        lambda: access.get_ledger_entry_for(reader, 999),
    ):
        with pytest.raises(Http404):
            ask()
