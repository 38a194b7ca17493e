from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.models import (
    Constitution,
)
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, principle_of

pytestmark = pytest.mark.django_db

PUBLISH = "/api/constitutions/test/publish/"


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
