"""The admin site shows every model of training and changes none."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from tests.training_app.factories import finished_run
from tests.training_app.scenes import engineer

pytestmark = pytest.mark.django_db
MODELS = [model for model in apps.get_app_config("training_app").get_models() if not model._meta.auto_created]


def test_every_model_is_there() -> None:
    assert set(MODELS) <= set(admin.site._registry)


def test_it_lists_and_shows_but_changes_nothing() -> None:
    finished_run(engineer())
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    for model in MODELS:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert client.get(reverse(f"{name}_changelist")).status_code == 200
        assert client.get(reverse(f"{name}_add")).status_code == 403
        row = model._default_manager.first()
        if row is not None:
            assert client.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
            assert client.post(reverse(f"{name}_change", args=[row.pk]), {}).status_code == 403
            assert client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def test_an_admin_by_role_looks_at_everything_too() -> None:
    finished_run(engineer())
    invited = User.objects.create_user("invited", is_staff=True)
    invited.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(invited)
    for model in MODELS:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert client.get(reverse(f"{name}_changelist")).status_code == 200
        assert client.get(reverse(f"{name}_add")).status_code == 403
