from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app.models import (
    Constitution,
    Suggestion,
    Thread,
)
from tests.constitutions_app.api.calls import NEW_THREAD, post, read
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of

pytestmark = pytest.mark.django_db


def test_a_thread_and_its_suggestion(thread: Any, constitution: Constitution, author: User, reader: User) -> None:
    assert read(reader, "threads") == [read(reader, f"threads/{thread['id']}")] == [thread]
    assert (thread["quote"], thread["start"], thread["lost"]) == ("uncertain", 34, False)
    post(author, f"threads/{thread['id']}", {"body": "Good."})
    (first, second) = read(reader, f"threads/{thread['id']}")["comments"]
    assert (first["author"], second["body"]) == ("Rex", "Good.")
    done = post(author, f"suggestions/{first['suggestion']['id']}/apply", code=200)
    assert done["state"] == "applied"
    assert principle_of(constitution, "honesty").text.endswith("mark what is not certain.")
    assert post(author, f"threads/{thread['id']}/resolve", code=200)["resolved"] is True
    assert post(author, f"threads/{thread['id']}/reopen", code=200)["resolved"] is False
    assert "already" in post(author, f"suggestions/{first['suggestion']['id']}/decline", code=409)["detail"]


def test_another_drafts_rows_are_not_found(thread: Any, author: User, constitution: Constitution) -> None:

    make_constitution(author, name="Other")
    client = signed_in(author)
    assert client.get(f"/api/constitutions/other/threads/{thread['id']}/").status_code == 404
    pk = Suggestion.objects.get().pk
    for path in (f"threads/{thread['id']}", f"threads/{thread['id']}/resolve", f"suggestions/{pk}/apply"):
        answer = client.post(f"/api/constitutions/other/{path}/", {"body": "x"}, content_type="application/json")
        assert answer.status_code == 404
    assert draft_of(constitution).threads.count() == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**NEW_THREAD, "quote": "never written"}, 409),
        ({**NEW_THREAD, "field": "nothing"}, 409),
        ({**NEW_THREAD, "start": -1}, 400),
        ({**NEW_THREAD, "start": 10**9}, 400),
        ({**NEW_THREAD, "body": "\x00"}, 400),
        ({**NEW_THREAD, "field": "x" * 41}, 400),
        ([], 400),
    ],
)
def test_nonsense_is_refused_in_words(constitution: Constitution, reviewer: User, body: Any, code: int) -> None:
    assert post(reviewer, "threads", body or [1], code)
    assert not Thread.objects.exists()
