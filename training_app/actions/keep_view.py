"""Saved views of the explorer: kept under a name, shared or not, and removed by their owners."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.explorer.filters import Filters
from training_app.models import SavedView
from training_app.refusals import ViewRefused

MOST = 50
"""Views a person keeps."""


def keep_view(*, user: User, name: str, asked: Filters, shared: bool) -> SavedView:
    """Keep a question under a name; a view of this person with the same name is changed into it.

    Raises ViewRefused without a name, for one that is too long, and where the person has kept MOST already.
    """
    name = " ".join(name.replace("\x00", "").split())
    longest = SavedView._meta.get_field("name").max_length or 0
    if not name:
        raise ViewRefused("Give the view a name.")
    if len(name) > longest:
        raise ViewRefused(f"The name is longer than {longest} characters; shorten it.")
    with transaction.atomic():
        own = SavedView.objects.select_for_update().filter(owner=user)
        if own.exclude(name=name).count() >= MOST:
            raise ViewRefused(f"You have kept {MOST} views already; remove one first.")
        values = {"query": asked.to_query().urlencode(), "shared": shared}
        view, _ = SavedView.objects.update_or_create(owner=user, name=name, defaults=values)
        record(actor=user, verb="view.keep", obj=view, data={"name": name, **values})
    return view


def remove_view(*, user: User, view: SavedView) -> None:
    """Take a view away; the question's address goes on answering."""
    with transaction.atomic():
        record(actor=user, verb="view.remove", obj=view, data={"name": view.name, "query": view.query})
        view.delete()
