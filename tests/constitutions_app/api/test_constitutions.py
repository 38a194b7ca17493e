from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from constitutions_app import actions
from constitutions_app.models import (
    Constitution,
)
from tests.constitutions_app.api.calls import get
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of

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


@pytest.mark.parametrize("url", READ)
def test_everybody_with_a_role_reads_and_nobody_writes(
    url: str, constitution: Constitution, reader: User, stranger: User, admin: User
) -> None:
    assert Client().get(url).status_code in {401, 403}
    assert signed_in(stranger).get(url).status_code == 403
    assert signed_in(reader).get(url).status_code == 200
    for method in ("post", "put", "patch", "delete"):
        assert getattr(signed_in(admin), method)(url).status_code == 405


def test_a_constitution_says_how_it_stands(constitution: Constitution, author: User, client: Client) -> None:
    make_constitution(author, name="Fresh", published=False)
    fresh, test = get(client, "/api/constitutions/")["results"]
    assert (fresh["slug"], fresh["newest_version"]) == ("fresh", None)
    assert (test["slug"], test["newest_version"], test["created_by"]) == ("test", 1, "Ada")


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
