from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from constitutions_app import actions
from constitutions_app.models import (
    Constitution,
)
from tests.constitutions_app.api.calls import get
from tests.constitutions_app.factories import principle_of

pytestmark = pytest.mark.django_db


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
