"""Every id in every address of this app, pages and API: one that is not there, one of another constitution.

The addresses are read from the URL configuration. One with an id that this file does not know fails here first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, reverse

from constitutions_app import api, urls
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.models import Constitution, LedgerEntry, Notification, Review, Suggestion, Thread
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import make_constitution
from tests.constitutions_app.views.test_access import UPLOAD, people, ready, scene

__all__ = ["people", "ready", "scene"]  # fixtures

pytestmark = pytest.mark.django_db

PERSONAS = ("admin", "author", "reviewer", "reader", "stranger")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WRONG: dict[str, tuple[object, ...]] = {
    "slug": ("nowhere", "test@nowhere"),
    "key": ("nothing",),
    "number": (999,),
    "seq": (999_999,),
    "pk": (999_999,),
    "old": ("v9", "nowhere:draft"),
    "new": ("draft@nowhere", "nowhere:v1"),
    "merged": ("v9", "nowhere:v1"),
    "format": ("docx",),
    "form": ("docx",),
    "alias": ("nothing",),
    "rest": (),  # what stands behind an alias: it leads to a page that asks for itself
    "upload_id": (UUID(int=9),),
}
RIGHT: dict[str, object] = {
    "slug": "test",
    "key": "honesty",
    "number": 1,
    "seq": 3,
    "old": "v1",
    "new": "draft",
    "merged": "v1",
    "format": "json",
    "form": "json",
    "alias": "latest",
    "rest": "constitution.json",
    "upload_id": UPLOAD,
}
SCENARIO = {"scenario", "edit_scenario", "retire_scenario", "restore_scenario"}
SCENARIO |= {"api-scenario", "api-retire-scenario", "api-restore-scenario"}
ROWS: dict[type[Model], set[str]] = {
    Thread: {"thread", "reply", "resolve_thread", "reopen_thread", "api-thread", "api-resolve", "api-reopen"},
    Suggestion: {"apply_suggestion", "decline_suggestion", "api-apply", "api-decline-suggestion"},
    Review: {"past_review"},
    Notification: {"follow_notification"},
    LedgerEntry: {"api-ledger-detail"},
    User: {"person_link", "person_role", "person_deactivate", "person_reactivate"},
}
"""Which address's `pk` is whose."""
ELSEWHERE = {
    "restore_removed": {"seq"},  # says on the draft's page that nothing was restored, and restores nothing
    "remove_exemplar": {"number"},  # says that it is gone already
}
ALSO_EMPTY = {"export_draft", "api-export-draft", *ELSEWHERE}
"""Addresses at which a constitution without anything has something to answer."""


@dataclass(frozen=True)
class Address:
    """One pattern: its name with namespaces, and the names of its ids."""

    name: str
    ids: tuple[str, ...]

    @property
    def short(self) -> str:
        return self.name.rpartition(":")[2]

    def at(self, values: dict[str, object]) -> str:
        return reverse(self.name, kwargs={name: values[name] for name in self.ids})


def addresses(patterns: Iterable[object], namespace: str = "", outer: tuple[str, ...] = ()) -> Iterator[Address]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from addresses(pattern.url_patterns, inner, (*outer, *pattern.pattern.regex.groupindex))
        elif isinstance(pattern, URLPattern):
            ids = (*outer, *pattern.pattern.regex.groupindex)
            yield Address(f"{namespace}{pattern.name}", ids)


ALL = [one for one in addresses([*urls.urlpatterns, *api.urlpatterns]) if one.ids]


def right(address: Address) -> dict[str, object]:
    values = dict(RIGHT)
    if address.short in SCENARIO:
        values["key"] = "rude-letter"
    if "pk" in address.ids:
        (model,) = [model for model, names in ROWS.items() if address.short in names]
        values["pk"] = model._default_manager.values_list("pk", flat=True).order_by("pk")[0]
    return values


def wrong_ones(address: Address) -> Iterator[str]:
    """The address with each of its ids, one after the other, being one that is not there or stands elsewhere."""
    values = right(address)
    for name in address.ids:
        if name in ELSEWHERE.get(address.short, ()):
            continue
        for value in WRONG[name]:
            if name == "slug" and "@" in str(value) and not _takes_branches(address):
                continue
            yield address.at({**values, name: value})
    if len(address.ids) > 1 and "slug" in address.ids and address.short not in ALSO_EMPTY:
        yield address.at({**values, "slug": "empty"})


def _takes_branches(address: Address) -> bool:
    try:
        address.at({**right(address), "slug": "test@softer"})
    except NoReverseMatch:
        return False
    return True


def asked(client: Client, url: str, methods: Iterable[str] = METHODS) -> dict[str, int]:
    """What the address answers to each method."""
    return {
        method: client.generic(method, url, "{}", content_type="application/json").status_code for method in methods
    }


@pytest.fixture
def beside(ready: Constitution, people: dict[str, User]) -> Constitution:
    """`ready`, beside a constitution that holds nothing: no version, no principle, no thread."""
    make_constitution(people["author"], name="Empty", body=Body("Empty"), published=False)
    return ready


def test_every_id_in_every_address_is_known_here(beside: Constitution) -> None:
    assert {name for address in ALL for name in address.ids} <= set(WRONG)
    for address in ALL:
        assert address.at(right(address))
    named = {name for names in (SCENARIO, *ROWS.values()) for name in names} | ALSO_EMPTY
    assert named <= {address.short for address in ALL}


def test_what_is_not_there_or_another_constitutions_is_refused_and_changes_nothing(
    beside: Constitution, people: dict[str, User]
) -> None:
    before = LedgerEntry.objects.count()
    clients = {persona: signed_in(people[persona]) for persona in PERSONAS}
    problems = []
    for address in ALL:
        urls_of_it = list(wrong_ones(address))
        for url in urls_of_it:
            # Pages know two methods; who sends them another is told so before anything is looked up.
            methods = METHODS if address.name.startswith("api-") else METHODS[:2]
            seen = asked(clients["admin"], url, methods)
            if not set(seen.values()) <= {403, 404, 405} or 404 not in seen.values():
                problems.append(("admin", url, seen))
            if url not in (urls_of_it[0], urls_of_it[-1]):
                continue  # who may do nothing at one wrong id may do nothing at another
            there = [method for method, status in seen.items() if status != 405]
            for persona in PERSONAS[1:]:
                found = asked(clients[persona], url, there)
                if not set(found.values()) <= {403, 404}:
                    problems.append((persona, url, found))
            found = asked(Client(), url, there)
            if not set(found.values()) <= {302, 401, 403, 404}:
                problems.append(("nobody", url, found))
    assert not problems
    assert LedgerEntry.objects.count() == before
