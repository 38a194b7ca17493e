from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse

from constitutions_app.models import Constitution
from tests.constitutions_app.conftest import signed_in

pytestmark = pytest.mark.django_db


def test_every_model_is_there() -> None:
    registered = {model for model in admin.site._registry if model._meta.app_label == "constitutions_app"}
    assert registered == set(apps.get_app_config("constitutions_app").get_models())


@pytest.mark.parametrize(
    "name", ["constitution", "draft", "draftprinciple", "version", "principleversion", "ledgerentry"]
)
def test_admins_look_and_nobody_touches(constitution: Constitution, admin: User, author: User, name: str) -> None:
    model = apps.get_model("constitutions_app", name)
    row = model._default_manager.all()[0]
    listed = reverse(f"admin:constitutions_app_{name}_changelist")
    shown = reverse(f"admin:constitutions_app_{name}_change", args=[row.pk])
    client = signed_in(admin)
    assert client.get(listed).status_code == 200
    assert client.get(shown).status_code == 200
    assert client.get(reverse(f"admin:constitutions_app_{name}_add")).status_code == 403
    assert client.post(shown, {}).status_code == 403
    assert (
        client.post(reverse(f"admin:constitutions_app_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code
        == 403
    )
    assert client.post(listed, {"action": "delete_selected", "_selected_action": [row.pk]}).status_code in {
        302,
        403,
        200,
    }
    assert model._default_manager.filter(pk=row.pk).exists()
    assert signed_in(author).get(listed).status_code == 302


def test_people_and_groups_are_changed_on_the_people_page_only(admin: User, reader: User) -> None:
    client = signed_in(admin)
    shown = reverse("admin:auth_user_change", args=[reader.pk])
    assert client.get(shown).status_code == 200
    assert client.post(shown, {"username": "other"}).status_code == 403
    assert client.get(reverse("admin:auth_user_add")).status_code == 403
    assert client.get(reverse("admin:auth_group_changelist")).status_code == 200
    password = reverse("admin:auth_user_password_change", args=[reader.pk])
    assert client.post(password, {"password1": "x", "password2": "x"}).status_code == 403
