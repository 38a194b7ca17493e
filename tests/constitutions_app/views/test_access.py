"""Every address of this app, as nobody, a person without a role, reader, reviewer, author and admin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, reverse

from constitutions_app import actions, urls
from constitutions_app.access import Role
from constitutions_app.actions import ImportedFile, create_scenario, import_into_draft, remove_principle, start_branch
from constitutions_app.core.interchange import read_bytes
from constitutions_app.models import Constitution, LedgerEntry, Notification, Review, Suggestion, Thread, Upload
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, principle_of

pytestmark = pytest.mark.django_db

READERS = ("reader", "reviewer", "author", "admin")
WRITERS = ("author", "admin")
SCENARIO_WRITERS = ("author", "reviewer", "admin")
DISCUSSERS = ("reviewer", "author", "admin")
ADMINS = ("admin",)
EVERYBODY = ("stranger", "reader", "reviewer", "author", "admin")


@dataclass(frozen=True)
class Page:
    """One address, with who may GET it and who may POST to it. No entry means nobody may: 405."""

    name: str
    get: tuple[str, ...] = ()
    post: tuple[str, ...] = ()
    args: tuple[object, ...] = ()
    data: dict[str, object] = field(default_factory=dict)


SLUG = ("test",)
SCENARIO = ("test", "rude-letter")
EDIT = {"prompt": "x", "revision": 0}
UPLOAD = UUID(int=7)
"""A file that the admin has uploaded: to everybody else it is not there."""

PAGES = (
    Page("home", get=READERS),
    Page("constitutions:list", get=READERS),
    Page("constitutions:create", get=WRITERS, post=WRITERS, data={"name": "Other"}),
    Page("constitutions:detail", get=READERS, args=SLUG),
    Page("constitutions:draft", get=READERS, args=SLUG),
    Page("constitutions:draft_preamble", get=WRITERS, post=WRITERS, args=SLUG, data={"preamble": "x", "revision": "y"}),
    Page("constitutions:draft_exemplars", get=WRITERS, post=WRITERS, args=SLUG, data={"0-prompt": "x"}),
    Page("constitutions:add_exemplar", post=WRITERS, args=SLUG),
    Page("constitutions:remove_exemplar", post=WRITERS, args=("test", 1)),
    Page("constitutions:add_principle", post=WRITERS, args=SLUG, data={"title": "Fresh"}),
    Page(
        "constitutions:draft_principle",
        get=WRITERS,
        post=WRITERS,
        args=("test", "honesty"),
        data={"text": "x", "revision": "1", "weight": "1"},
    ),
    Page("constitutions:sent", post=WRITERS, args=("test", "honesty"), data={"text": "x"}),
    Page("constitutions:declare_edit", post=WRITERS, args=("test", "honesty"), data={"kind": ""}),
    Page("constitutions:dismiss_hint", post=WRITERS, args=("test", "honesty"), data={"hint": "vague_term"}),
    Page("constitutions:recall_hint", post=WRITERS, args=("test", "honesty"), data={"hint": "vague_term"}),
    Page("constitutions:here", post=WRITERS, args=SLUG, data={"place": "honesty", "revision": "1"}),
    Page("constitutions:undo", post=WRITERS, args=SLUG),
    Page("constitutions:redo", post=WRITERS, args=SLUG),
    Page("constitutions:duplicate_principle", post=WRITERS, args=("test", "honesty")),
    Page("constitutions:retire_principle", post=WRITERS, args=("test", "honesty"), data={"use": "0"}),
    Page("constitutions:move_principle", post=WRITERS, args=("test", "honesty"), data={"direction": "down"}),
    Page("constitutions:remove_principle", post=WRITERS, args=("test", "honesty")),
    Page("constitutions:restore_removed", post=WRITERS, args=("test", 3)),
    Page("constitutions:draft_blame", get=READERS, args=("test", "honesty")),
    Page("constitutions:merge", get=WRITERS, post=WRITERS, args=SLUG, data={"version": "1"}),
    Page("constitutions:close_branch", post=WRITERS, args=("test@softer",)),
    Page("constitutions:reopen_branch", post=WRITERS, args=("test@softer",)),
    Page("constitutions:publish", get=WRITERS, post=WRITERS, args=SLUG, data={"note": "x", "revision": "1"}),
    Page("constitutions:version", get=READERS, args=("test", 1)),
    Page("constitutions:canonical", get=READERS, args=("test", 1)),
    Page("constitutions:restore_version", get=WRITERS, post=WRITERS, args=("test", 1)),
    Page("constitutions:principle", get=READERS, args=("test", 1, "honesty")),
    Page("constitutions:blame", get=READERS, args=("test", 1, "honesty")),
    Page("constitutions:start_branch", get=WRITERS, post=WRITERS, args=("test", 1), data={"name": "Other"}),
    Page("constitutions:fork", get=WRITERS, post=WRITERS, args=("test", 1), data={"name": "Our own"}),
    Page("constitutions:versions", get=READERS, args=SLUG),
    Page("constitutions:move_alias", post=WRITERS, args=SLUG, data={"name": "production", "number": "1"}),
    Page("constitutions:alias", get=READERS, args=("test", "latest")),
    Page("constitutions:alias_part", get=READERS, args=("test", "latest", "constitution.json")),
    Page("constitutions:choose_compare", get=READERS, args=SLUG),
    Page("constitutions:compare", get=READERS, args=("test", "v1", "draft")),
    Page("constitutions:export_version", get=READERS, args=("test", 1, "yaml")),
    Page("constitutions:export_draft", get=READERS, args=("test", "markdown")),
    Page("constitutions:scenarios", get=READERS, args=SLUG),
    Page("constitutions:create_scenario", get=SCENARIO_WRITERS, post=SCENARIO_WRITERS, args=SLUG, data={"prompt": "x"}),
    Page("constitutions:scenario", get=READERS, args=SCENARIO),
    Page(
        "constitutions:edit_scenario",
        get=SCENARIO_WRITERS,
        post=SCENARIO_WRITERS,
        args=SCENARIO,
        data={"prompt": "x", "revision": 0},
    ),
    Page("constitutions:retire_scenario", post=SCENARIO_WRITERS, args=SCENARIO),
    Page("constitutions:restore_scenario", post=SCENARIO_WRITERS, args=SCENARIO),
    Page("constitutions:import", get=WRITERS, post=WRITERS, data={"text": "x"}),
    Page("constitutions:import_preview", get=("admin",), post=("admin",), args=(UPLOAD,), data={"name": "New"}),
    Page("constitutions:import_more", post=("admin",), args=(UPLOAD,), data={"format": "polis"}),
    Page("constitutions:import_links", get=("admin",), post=("admin",), args=(UPLOAD,)),
    Page("constitutions:import_discard", post=("admin",), args=(UPLOAD,)),
    Page("constitutions:import_record", get=READERS, args=("test", 1)),
    Page("constitutions:activity", get=READERS, args=SLUG),
    Page("search", get=READERS),
    Page("ledger", get=READERS),
    Page("ledger_entry", get=READERS, args=(1,)),
    Page("people", get=ADMINS),
    Page("invite", get=ADMINS, post=ADMINS, data={"username": "new", "role": "reader"}),
    Page("person_link", post=ADMINS, args=("reader",)),
    Page("person_role", post=ADMINS, args=("reader",), data={"role": "author"}),
    Page("person_deactivate", post=ADMINS, args=("reader",)),
    Page("person_reactivate", post=ADMINS, args=("reader",)),
    Page("constitutions:review", get=READERS, args=SLUG),
    Page("constitutions:request_review", post=WRITERS, args=SLUG),
    Page("constitutions:withdraw_review", post=WRITERS, args=SLUG),
    Page("constitutions:verdict", post=DISCUSSERS, args=SLUG, data={"word": "comment", "note": "So.", "revision": "2"}),
    Page("constitutions:past_review", get=READERS, args=("test", "REVIEW")),
    Page("constitutions:threads", get=READERS, args=SLUG),
    Page("constitutions:preamble_threads", get=READERS, args=SLUG),
    Page("constitutions:exemplar_threads", get=READERS, args=SLUG),
    Page("constitutions:open_thread", post=DISCUSSERS, args=SLUG, data={"place": "privacy:", "body": "Why?"}),
    Page("constitutions:thread", get=READERS, args=("test", "THREAD")),
    Page("constitutions:reply", post=DISCUSSERS, args=("test", "THREAD"), data={"body": "Because."}),
    Page("constitutions:resolve_thread", post=DISCUSSERS, args=("test", "THREAD")),
    Page("constitutions:reopen_thread", post=DISCUSSERS, args=("test", "THREAD")),
    Page("constitutions:principle_threads", get=READERS, args=("test", "privacy")),
    Page("constitutions:apply_suggestion", post=WRITERS, args=("test", "SUGGESTION")),
    Page("constitutions:decline_suggestion", post=DISCUSSERS, args=("test", "SUGGESTION")),
    Page("constitutions:publishing_rules", get=READERS, post=WRITERS, args=SLUG, data={"required_approvals": "1"}),
    Page("notifications", get=READERS),
    Page("notification_count", get=READERS),
    Page("read_notifications", post=READERS),
    Page("follow_notification", post=READERS, args=("NOTIFICATION",)),
    Page("account", get=READERS, post=READERS, data={"form": "name", "name": "Me"}),
)


PERSONAS = {
    "reader": ("rita", Role.READER),
    "reviewer": ("rex", Role.REVIEWER),
    "author": ("ada", Role.AUTHOR),
    "admin": ("zoe", Role.ADMIN),
    "stranger": ("sam", None),
}


@dataclass(frozen=True)
class Scene:
    """Keys of what all tests here start from; each reads its own objects."""

    people: dict[str, int]
    constitution: int


@pytest.fixture(scope="module")
def scene(module_db: None) -> Scene:
    """With a removal, ledger entry 3; a scenario, an import, an upload, a review, and a thread with a suggestion."""
    people = {persona: make_person(name, role) for persona, (name, role) in PERSONAS.items()}
    author, admin = people["author"], people["admin"]
    constitution = make_constitution(author)
    remove_principle(user=author, principle=principle_of(constitution, "kindness"))
    create_scenario(user=author, constitution=constitution, title="Rude letter", prompt="Write a letter.")
    found = read_bytes(b"comment-id,comment-body\n1,Be clear.\n", "town.csv")
    import_into_draft(user=author, draft=draft_of(constitution), file=ImportedFile(found, "town.csv", b""))
    Upload.objects.create(id=UPLOAD, person=admin, file_name="x.csv", data=b"comment-id,comment-body\n1,Be kind.\n")
    start_branch(user=author, version=constitution.versions.get(), name="softer")
    review = actions.request_review(user=author, draft=draft_of(constitution), reviewers=[admin])
    actions.withdraw_review(user=author, review=review)
    actions.open_thread(
        user=people["reviewer"],
        draft=draft_of(constitution),
        key="privacy",
        field="text",
        quote="agreed",
        replacement="consented",
    )
    return Scene({persona: person.pk for persona, person in people.items()}, constitution.pk)


@pytest.fixture
def people(scene: Scene, db: None) -> dict[str, User]:
    found = User.objects.in_bulk(list(scene.people.values()))
    return {persona: found[key] for persona, key in scene.people.items()}


@pytest.fixture
def ready(scene: Scene, db: None) -> Constitution:
    return Constitution.objects.get(pk=scene.constitution)


def address(page: Page, people: dict[str, User]) -> str:
    rows: dict[str, Any] = {"REVIEW": Review, "THREAD": Thread, "SUGGESTION": Suggestion, "NOTIFICATION": Notification}

    def argument(arg: object) -> object:
        if isinstance(arg, str) and arg in rows:
            return rows[arg].objects.values_list("pk", flat=True)[0]
        return people[str(arg)].pk if arg in people else arg

    return reverse(page.name, args=[argument(arg) for arg in page.args])


def all_names(patterns: Iterable[object], namespace: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from all_names(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            yield f"{namespace}{pattern.name}"


def test_the_table_knows_every_address() -> None:
    assert {page.name for page in PAGES} == set(all_names(urls.urlpatterns))


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_it_lets_in_who_may_and_nobody_else(
    page: Page, method: str, ready: Constitution, people: dict[str, User]
) -> None:
    allowed = page.get if method == "get" else page.post
    url = address(page, people)

    def ask(client: Client) -> int:
        send: Callable[..., Any] = getattr(client, method)
        response = send(url, page.data if method == "post" else {})
        return int(response.status_code)

    before = LedgerEntry.objects.count()
    if not allowed:
        assert {ask(signed_in(person)) for person in people.values()} == {405}
        assert LedgerEntry.objects.count() == before
        return
    nobody = Client()
    assert ask(nobody) == 302
    for persona in EVERYBODY:
        if persona not in allowed:
            hidden = UPLOAD in page.args and persona == "author"
            assert ask(signed_in(people[persona])) == (404 if hidden else 403), persona
    assert LedgerEntry.objects.count() == before, "a refused request changed something"
    status = ask(signed_in(people[allowed[-1]]))
    assert status in {200, 204, 302, 409, 422}, status


def test_nothing_changes_on_get(ready: Constitution, people: dict[str, User]) -> None:
    client = signed_in(people["admin"])
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for page in PAGES:
            for url in (address(page, people), f"{address(page, people)}?removed=3&object=a.b:1&before=2&view=x"):
                assert client.get(url).status_code in {200, 302, 405}
    written = [
        query["sql"]
        for query in queries
        if query["sql"].split(" ", 1)[0] in {"INSERT", "UPDATE", "DELETE"} and "django_session" not in query["sql"]
    ]
    assert written == []


@pytest.mark.parametrize(
    "url",
    [
        "/constitutions/nothing/",
        "/constitutions/nothing/draft/",
        "/constitutions/nothing/draft/preamble/",
        "/constitutions/nothing/draft/exemplars/",
        "/constitutions/nothing/draft/publish/",
        "/constitutions/nothing/draft/principles/honesty/",
        "/constitutions/test/draft/principles/nothing/",
        "/constitutions/nothing/v1/",
        "/constitutions/test/v2/",
        "/constitutions/test/v999999999/",
        "/constitutions/test/v0/",
        "/constitutions/test/v9999999999/",
        "/constitutions/test/v2/constitution.json",
        "/constitutions/test/v2/restore/",
        "/constitutions/test/v1/principles/nothing/",
        "/constitutions/test/v2/principles/honesty/",
        "/constitutions/nothing/compare/",
        "/constitutions/nothing/compare/v1..draft/",
        "/constitutions/test/compare/v1..v2/",
        "/constitutions/test/compare/v2..v1/",
        "/constitutions/test/compare/..draft/",
        "/constitutions/test/compare/v1..latest/",
        "/constitutions/test/compare/nothing:v1..v1/",
        "/constitutions/test/compare/v1..nothing:draft/",
        "/constitutions/test/compare/v1..draft@nowhere/",
        "/constitutions/nothing/versions/",
        "/constitutions/test/@production/",
        "/constitutions/nothing/@latest/",
        "/constitutions/test@nowhere/draft/merge/",
        "/constitutions/test/v2/branch/",
        "/constitutions/test/v2/fork/",
        "/constitutions/test/v1/principles/nothing/history/",
        "/constitutions/test/v2/principles/honesty/history/",
        "/constitutions/test/draft/principles/nothing/history/",
        "/constitutions/test@nowhere/draft/principles/honesty/history/",
        "/ledger/999999/",
        "/constitutions/nothing/draft/review/",
        "/constitutions/test@nothing/draft/review/",
        "/constitutions/test/draft/review/999/",
        "/constitutions/test/draft/threads/999/",
        "/constitutions/nothing/draft/threads/",
        "/constitutions/test/draft/principles/nothing/threads/",
        "/constitutions/nothing/rules/",
    ],
)
def test_what_is_not_there_is_not_found(url: str, people: dict[str, User]) -> None:
    assert signed_in(people["admin"]).get(url).status_code == 404
    assert signed_in(people["stranger"]).get(url).status_code in {403, 404}, "a stranger learns no more than that"


def test_one_constitution_does_not_open_anothers_parts(ready: Constitution, people: dict[str, User]) -> None:
    make_constitution(people["author"], name="Other")
    client = signed_in(people["author"])
    client.post(reverse("constitutions:restore_removed", args=["other", 3]))
    assert not draft_of(ready).principles.filter(key="kindness").exists()
    remove_principle(user=people["author"], principle=principle_of(ready, "privacy"))
    assert client.get(reverse("constitutions:draft_principle", args=["other", "privacy"])).status_code == 200
    assert client.get(reverse("constitutions:draft_principle", args=["test", "privacy"])).status_code == 404


def test_threads_suggestions_and_reviews_open_only_at_their_own_draft(
    ready: Constitution, people: dict[str, User]
) -> None:
    make_constitution(people["author"], name="Other")
    before = LedgerEntry.objects.count()
    client = signed_in(people["admin"])
    thread, suggestion, review = Thread.objects.get().pk, Suggestion.objects.get().pk, Review.objects.get().pk
    for name, pk in (("thread", thread), ("past_review", review)):
        assert client.get(reverse(f"constitutions:{name}", args=["other", pk])).status_code == 404
    for name, pk in (
        ("reply", thread),
        ("resolve_thread", thread),
        ("reopen_thread", thread),
        ("apply_suggestion", suggestion),
        ("decline_suggestion", suggestion),
    ):
        url = reverse(f"constitutions:{name}", args=["other", pk])
        assert client.post(url, {"body": "x"}).status_code == 404
    assert LedgerEntry.objects.count() == before


def test_a_notification_opens_only_for_its_owner(ready: Constitution, people: dict[str, User]) -> None:
    mine = Notification.objects.get(person=people["admin"])
    url = reverse("follow_notification", args=[mine.pk])
    assert signed_in(people["author"]).post(url).status_code == 404
    assert signed_in(people["admin"]).post(url).headers["Location"] == reverse("constitutions:review", args=["test"])
    mine.refresh_from_db()
    assert mine.read_at is not None


def test_a_suggestion_is_taken_back_by_its_author_and_applied_by_writers(
    ready: Constitution, people: dict[str, User]
) -> None:
    suggestion = Suggestion.objects.get()
    url = {
        name: reverse(f"constitutions:{name}_suggestion", args=["test", suggestion.pk]) for name in ("apply", "decline")
    }
    assert signed_in(people["reviewer"]).post(url["apply"]).status_code == 403
    actions.set_role(user=people["admin"], person=people["reader"], role=Role.REVIEWER)
    assert signed_in(people["reader"]).post(url["decline"]).status_code == 403, "another reviewer's suggestion"
    assert signed_in(people["reviewer"]).post(url["decline"]).status_code == 302
    suggestion.refresh_from_db()
    assert suggestion.state == "declined"
