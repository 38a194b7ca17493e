from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator

from constitutions_app import actions
from constitutions_app.models import Constitution
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, newest, principle_of

pytestmark = pytest.mark.django_db

READ = (
    "/api/constitutions/",
    "/api/constitutions/test/",
    "/api/constitutions/test/draft/",
    "/api/constitutions/test/versions/",
    "/api/constitutions/test/versions/1/",
    "/api/constitutions/test/versions/1/principles/honesty/",
    "/api/constitutions/test/compare/v1..draft/",
    "/api/ledger/",
    "/api/ledger/1/",
)
PUBLISH = "/api/constitutions/test/publish/"


@pytest.fixture
def client(reader: User) -> Client:
    return signed_in(reader)


def get(client: Client, url: str, **asked: Any) -> Any:
    response = client.get(url, asked)
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.parametrize("url", READ)
def test_everybody_with_a_role_reads_and_nobody_writes(
    url: str, constitution: Constitution, reader: User, stranger: User, admin: User
) -> None:
    assert Client().get(url).status_code in {401, 403}
    assert signed_in(stranger).get(url).status_code == 403
    assert signed_in(reader).get(url).status_code == 200
    for method in ("post", "put", "patch", "delete"):
        assert getattr(signed_in(admin), method)(url).status_code == 405


def test_a_version_carries_the_digested_text(constitution: Constitution, client: Client) -> None:
    body = get(client, "/api/constitutions/test/versions/1/")
    assert hashlib.sha256(body["canonical"].encode()).hexdigest() == body["digest"] == newest(constitution).digest
    assert [item["key"] for item in body["principles"]] == ["honesty", "privacy", "kindness"]
    assert body["principles"][1]["wordings"]["critique_request"].startswith("Point out where")
    assert body["parent_number"] is None
    assert get(client, "/api/constitutions/test/versions/1/principles/honesty/") == body["principles"][0]


def test_a_constitution_says_how_it_stands(constitution: Constitution, author: User, client: Client) -> None:
    make_constitution(author, name="Fresh", published=False)
    fresh, test = get(client, "/api/constitutions/")["results"]
    assert (fresh["slug"], fresh["newest_version"]) == ("fresh", None)
    assert (test["slug"], test["newest_version"], test["created_by"]) == ("test", 1, "Ada")


def test_a_comparison_is_data(constitution: Constitution, author: User, client: Client) -> None:
    row = principle_of(constitution, "honesty")
    actions.edit_principle(
        user=author, principle=row, expected=row.revision, changes={"text": "Say <b>it</b>.", "source_article": "1"}
    )
    body = get(client, "/api/constitutions/test/compare/v1..draft/")
    assert (body["summary"], body["count"], body["preamble"]) == ("1 edited", 1, None)
    (change,) = body["principles"]
    assert (change["id"], change["old_position"], change["new_position"]) == ("honesty", 1, 1)
    text, source = change["fields_changed"]
    assert "".join(span["text"] for span in text["spans"] if span["kind"] != "removed") == "Say <b>it</b>."
    assert source["new"]["article"] == "1"
    assert get(client, "/api/constitutions/test/compare/v1..v1/")["summary"] == "no changes"


def test_what_is_not_there_is_not_found(constitution: Constitution, client: Client) -> None:
    for url in (
        "/api/constitutions/nothing/",
        "/api/constitutions/nothing/versions/",
        "/api/constitutions/test/versions/2/",
        "/api/constitutions/test/versions/99999999999/",
        "/api/constitutions/test/versions/1/principles/nothing/",
        "/api/constitutions/test/compare/v1..v2/",
        "/api/ledger/999/",
        "/api/ledger/9999999999999999999999/",
    ):
        assert client.get(url).status_code == 404


def test_the_ledger_pages_and_filters(constitution: Constitution, author: User, client: Client) -> None:
    make_constitution(author, name="Other")
    assert [entry["seq"] for entry in get(client, "/api/ledger/")["results"]] == [4, 3, 2, 1]
    mine = get(client, "/api/ledger/", object_type="constitutions_app.constitution", object_id=constitution.pk)
    assert [entry["seq"] for entry in mine["results"]] == [2, 1]
    assert [entry["seq"] for entry in get(client, "/api/ledger/", verb="version.publish")["results"]] == [4, 2]
    page = get(client, "/api/ledger/", page_size=3)
    assert [entry["seq"] for entry in get(client, page["next"])["results"]] == [1]
    entry = get(client, "/api/ledger/2/")
    assert hashlib.sha256((entry["previous_hash"] + entry["body"]).encode()).hexdigest() == entry["hash"]
    assert len(get(client, "/api/ledger/", actor__password="x", password="y")["results"]) == 4


class TestBranches:
    def post(self, user: User, url: str, body: object) -> Any:
        return signed_in(user).post(f"/api/constitutions/{url}", body, content_type="application/json")

    def test_a_branch_is_started_merged_and_told(self, constitution: Constitution, author: User, reader: User) -> None:
        body = {"name": "Softer tone", "version": 1}
        assert self.post(reader, "test/branches/", body).status_code == 403
        assert self.post(author, "test/branches/", body).json()["address"] == "test@softer-tone"
        assert self.post(author, "test/branches/", body).status_code == 409
        assert self.post(author, "test/branches/", {"name": "x", "version": 9}).status_code == 404
        for branch, text in (("main", "Say what is clear."), ("softer-tone", "Say what is sure.")):
            row = principle_of(constitution, "honesty", branch)
            actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": text})
        actions.publish_version(user=author, draft=draft_of(constitution, "softer-tone"), note="Sure.")
        client = signed_in(reader)
        preview = get(client, "/api/constitutions/test/draft/merge/v2/")
        (conflict,) = preview["conflicts"]
        assert (conflict["field"], conflict["ours"], conflict["theirs"]) == ("text", "clear", "sure")
        assert client.post("/api/constitutions/test/draft/merge/v2/").status_code == 403
        choice = {"revision": preview["revision"], "choices": {conflict["key"]: "theirs"}}
        assert self.post(author, "test/draft/merge/v2/", choice | {"choices": {}}).status_code == 409
        assert self.post(author, "test/draft/merge/v2/", choice | {"choices": {"x": "y"}}).status_code == 400
        assert self.post(author, "test/draft/merge/draft/", choice).status_code == 404
        assert self.post(author, "test/draft/merge/v2/", choice).json()["merging"] == "test@2"
        assert [row["branch"] for row in get(client, "/api/constitutions/test/branches/")] == ["main", "softer-tone"]
        blame = get(client, "/api/constitutions/test/blame/draft/honesty/")
        assert {words["came_in_with"] for words in blame["words"]["text"]} >= {"v1", "v2"}
        assert client.get("/api/constitutions/test/blame/v1/nothing/").status_code == 404

    def test_an_alias_is_moved(self, constitution: Constitution, author: User, reader: User) -> None:
        body: dict[str, Any] = {"name": "production", "version": 1}
        assert self.post(reader, "test/aliases/", body).status_code == 403
        assert self.post(author, "test/aliases/", body).status_code == 200
        found = get(signed_in(reader), "/api/constitutions/test/aliases/")
        assert found == [{"name": "latest", "version": 1}, {"name": "production", "version": 1}]
        assert self.post(author, "test/aliases/", {"name": "latest", "version": 1}).status_code == 409
        assert self.post(author, "test/aliases/", {"name": "production", "version": None}).json() == found[:1]
        assert self.post(author, "test/aliases/", {"name": "x", "version": 7}).status_code == 404


class TestPublishing:
    def edit(self, constitution: Constitution, user: User) -> int:
        row = principle_of(constitution, "honesty")
        actions.edit_principle(user=user, principle=row, expected=row.revision, changes={"text": "Be honest."})
        return draft_of(constitution).revision

    def test_an_author_publishes_and_a_reader_does_not(
        self, constitution: Constitution, author: User, reader: User
    ) -> None:
        body = {"note": "Shorter.", "revision": self.edit(constitution, author)}
        assert signed_in(reader).post(PUBLISH, body, content_type="application/json").status_code == 403
        response = signed_in(author).post(PUBLISH, body, content_type="application/json")
        assert response.status_code == 201
        assert (response.json()["number"], response.json()["parent_number"]) == (2, 1)
        assert constitution.versions.count() == 2

    def test_a_refusal_says_why(self, constitution: Constitution, author: User) -> None:
        client = signed_in(author)
        body = {"note": "A note.", "revision": draft_of(constitution).revision}
        response = client.post(PUBLISH, body, content_type="application/json")
        assert response.status_code == 409
        assert "Nothing has changed" in response.json()["detail"]
        senseless: list[Any] = [
            {},
            {"note": "x"},
            {"note": "x", "revision": "y"},
            {"note": "x" * 2001, "revision": 1},
            [],
        ]
        for unfit in senseless:
            assert client.post(PUBLISH, unfit, content_type="application/json").status_code == 400


def test_queries_do_not_grow_with_rows(constitution: Constitution, author: User, client: Client) -> None:
    counts: dict[str, set[int]] = {}
    for number in range(3):
        row = principle_of(constitution, "honesty")
        actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": f"Text {number}."})
        actions.publish_version(user=author, draft=draft_of(constitution), note="A note.")
        make_constitution(author, name=f"More {number}")
        for url in ("/api/constitutions/", "/api/constitutions/test/versions/", "/api/ledger/"):
            with CaptureQueriesContext(connection) as queries:
                get(client, url)
            counts.setdefault(url, set()).add(len(queries))
    assert all(len(found) == 1 for found in counts.values()), counts


def test_the_schema_describes_every_address() -> None:
    generator: Any = SchemaGenerator
    schema = generator().get_schema(request=None, public=True)
    paths = {path for path in schema["paths"] if "constitutions" in path or "ledger" in path}
    assert paths == {
        "/api/constitutions/",
        "/api/constitutions/{slug}/",
        "/api/constitutions/{slug}/aliases/",
        "/api/constitutions/{slug}/blame/{new}/{key}/",
        "/api/constitutions/{slug}/branches/",
        "/api/constitutions/{slug}/compare/{old}..{new}/",
        "/api/constitutions/{slug}/draft/merge/{merged}/",
        "/api/constitutions/{slug}/draft/",
        "/api/constitutions/{slug}/publish/",
        "/api/constitutions/{slug}/review/",
        "/api/constitutions/{slug}/review/verdicts/",
        "/api/constitutions/{slug}/activity/",
        "/api/constitutions/{slug}/draft/export/{form}/",
        "/api/constitutions/{slug}/scenario-results/",
        "/api/constitutions/{slug}/scenarios/",
        "/api/constitutions/{slug}/scenarios/{key}/",
        "/api/constitutions/{slug}/scenarios/{key}/restore/",
        "/api/constitutions/{slug}/scenarios/{key}/retire/",
        "/api/constitutions/{slug}/suggestions/{id}/apply/",
        "/api/constitutions/{slug}/suggestions/{id}/decline/",
        "/api/constitutions/{slug}/threads/",
        "/api/constitutions/{slug}/threads/{id}/",
        "/api/constitutions/{slug}/threads/{id}/reopen/",
        "/api/constitutions/{slug}/threads/{id}/resolve/",
        "/api/constitutions/{slug}/versions/",
        "/api/constitutions/{slug}/versions/{number}/",
        "/api/constitutions/{slug}/versions/{number}/export/{form}/",
        "/api/constitutions/{slug}/versions/{number}/principles/{key}/",
        "/api/ledger/",
        "/api/ledger/{seq}/",
    }
