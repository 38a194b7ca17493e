from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.models import (
    Constitution,
)
from tests.constitutions_app.api.calls import get
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, principle_of

pytestmark = pytest.mark.django_db


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
