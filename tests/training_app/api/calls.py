"""Calls of the API of training, as the tests make them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from tests.training_app.factories import person


def client_of(role: str | None, name: str = "") -> APIClient:
    """A client signed in with one role, or with none."""
    user = person(name or f"{role or 'nobody'}-{uuid4().hex[:6]}")
    if role:
        user.groups.add(Group.objects.get(name=role))
    return client_for(user)


def client_for(user: User) -> APIClient:
    """A client signed in as somebody who exists."""
    client = APIClient()
    client.force_authenticate(User.objects.get(pk=user.pk))
    return client


def first(client: APIClient, name: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/{name}/", query)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["results"][0]
    return found
