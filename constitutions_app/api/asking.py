"""What every part of the API asks of a request, and how it says no. The API of training asks in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from constitutions_app import actions
from constitutions_app.access import has_role


class HasRole(BasePermission):
    """Signed in, and with any role: everybody here reads everything."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_role(request.user)


class Conflict(APIException):
    """What is there is not in a state in which this can be done."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This cannot be done as things stand. Nothing was changed."
    default_code = "conflict"


class RefusalSerializer(serializers.Serializer[Any]):
    """Why nothing was done."""

    detail = serializers.CharField()


@contextmanager
def conflicts_told() -> Iterator[None]:
    """Answer 409 with the verb's own sentence when it refuses. Raises Conflict."""
    try:
        yield
    except (actions.Refused, actions.PublishRefused, actions.ScenarioConflict) as refusal:
        raise Conflict(str(refusal)) from refusal


def checked(asked: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    """The values of a body that fits. Raises ValidationError, which answers 400 and names each field."""
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def person_of(request: Request) -> User:
    """Who asks; the permission classes have let in nobody else. Raises NotAuthenticated."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user
