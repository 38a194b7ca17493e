"""What every list of this API shares: how it is read, its filters, and what is kept from whom."""

from __future__ import annotations

from typing import TypeVar

import django_filters as filters
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q, QuerySet
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

from constitutions_app.api.asking import HasRole
from training_app import access

Row = TypeVar("Row", bound=models.Model)
Hides = tuple[tuple[str, str], ...]
"""Kinds of items ("label", "step", "comparison"), each with the path from a row to one."""


class Reading(mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[Row]):
    """One object, and a list of them by cursor. Subclasses say which, with which fields and filters."""

    permission_classes = [HasRole]
    hides: Hides = ()
    """Rows of items that the caller has yet to judge blind are left out."""

    def get_queryset(self) -> QuerySet[Row]:
        request: Request | None = self.request  # none where the schema is written
        return told(super().get_queryset(), request.user if request is not None else AnonymousUser(), self.hides)


def told(rows: QuerySet[Row], user: access.Person, hides: Hides) -> QuerySet[Row]:
    """Without the rows of items that the person has yet to judge blind."""
    for kind, path in hides if access.can_audit(user) else ():
        rows = rows.filter(~Q(**{f"{path}__in": access.hidden_items(user, kind)}) | Q(**{path: None}))
    return rows


def link_to(request: Request, **place: str) -> str | None:
    """The address of the page behind or before; None where there is none."""
    (name, value), *_ = place.items()
    if not value:
        return None
    url = request.build_absolute_uri()
    for other in ("after", "before"):
        url = remove_query_param(url, other)
    return replace_query_param(url, name, value)


class Filters(filters.FilterSet):
    """What every list's filters have in common: they are declared, so that no key of a user reaches the ORM."""


class OfRunFilter(Filters):
    run = filters.UUIDFilter(field_name="run_id")
