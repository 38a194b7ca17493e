"""The API of review: the same verbs, the same roles, refusals in sentences."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.models import Constitution, LedgerEntry, Review, Suggestion, Thread
from constitutions_app.reviewing import Rules
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, principle_of

pytestmark = pytest.mark.django_db

HERE = "/api/constitutions/test/"
NEW = {"principle": "honesty", "field": "text", "quote": "uncertain", "body": "Why?", "replacement": "not certain"}


def post(user: User, path: str, body: object = None, code: int = 201) -> Any:
    answer = signed_in(user).post(f"{HERE}{path}/", body or {}, content_type="application/json")
    assert answer.status_code == code, answer.content
    return answer.json()


def get(user: User, path: str) -> Any:
    answer = signed_in(user).get(f"{HERE}{path}/")
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.fixture
def thread(constitution: Constitution, reviewer: User) -> Any:
    return post(reviewer, "threads", NEW)


def test_a_review_through_the_api(constitution: Constitution, author: User, reviewer: User, admin: User) -> None:
    actions.change_rules(user=admin, constitution=constitution, rules=Rules(1))
    row = principle_of(constitution, "honesty")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Be honest."})
    assert "no reviewer" in str(post(author, "review", {"reviewers": ["ada"]}, 400))
    state = post(author, "review", {"note": "Please.", "reviewers": ["rex"]})
    assert (state["requested_by"], state["requirements"][0]["met"]) == ("Ada", False)
    assert "open already" in post(author, "review", {}, 409)["detail"]
    revision = state["draft_revision"]
    assert "changed while" in post(reviewer, "review/verdicts", {"word": "approve", "revision": 0}, 409)["detail"]
    assert "Only reviewers" in post(author, "review/verdicts", {"word": "approve", "revision": revision}, 409)["detail"]
    state = post(reviewer, "review/verdicts", {"word": "approve", "revision": revision})
    assert [(said["person"], said["word"], said["void"]) for said in state["verdicts"]] == [("Rex", "approve", "")]
    assert all(part["met"] for part in state["requirements"])


def test_a_thread_and_its_suggestion(thread: Any, constitution: Constitution, author: User, reader: User) -> None:
    assert get(reader, "threads") == [get(reader, f"threads/{thread['id']}")] == [thread]
    assert (thread["quote"], thread["start"], thread["lost"]) == ("uncertain", 34, False)
    post(author, f"threads/{thread['id']}", {"body": "Good."})
    (first, second) = get(reader, f"threads/{thread['id']}")["comments"]
    assert (first["author"], second["body"]) == ("Rex", "Good.")
    done = post(author, f"suggestions/{first['suggestion']['id']}/apply", code=200)
    assert done["state"] == "applied"
    assert principle_of(constitution, "honesty").text.endswith("mark what is not certain.")
    assert post(author, f"threads/{thread['id']}/resolve", code=200)["resolved"] is True
    assert post(author, f"threads/{thread['id']}/reopen", code=200)["resolved"] is False
    assert "already" in post(author, f"suggestions/{first['suggestion']['id']}/decline", code=409)["detail"]


def test_a_suggestion_whose_words_changed(thread: Any, constitution: Constitution, author: User) -> None:
    row = principle_of(constitution, "honesty")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Say what is true."})
    path = f"suggestions/{Suggestion.objects.get().pk}/apply"
    clash = post(author, path, code=409)
    assert (clash["original"], clash["now"], clash["suggested"]) == ("uncertain", "", "not certain")
    assert Suggestion.objects.get().state == "open"


@pytest.mark.parametrize("who", ["stranger", "reader", "reviewer"])
def test_what_a_role_may_not_do_is_refused(
    who: str, thread: Any, constitution: Constitution, request: pytest.FixtureRequest, author: User
) -> None:
    person = request.getfixturevalue(who)
    suggestion = Suggestion.objects.get().pk
    writing: dict[str, object] = {"review": {}, f"suggestions/{suggestion}/apply": {}}
    talking: dict[str, object] = {
        "review/verdicts": {"word": "comment", "note": "x", "revision": 0},
        "threads": NEW,
        f"threads/{thread['id']}": {"body": "x"},
        f"threads/{thread['id']}/resolve": {},
        f"threads/{thread['id']}/reopen": {},
        f"suggestions/{suggestion}/decline": {},
    }
    before = LedgerEntry.objects.count()
    for path, body in {**writing, **({} if who == "reviewer" else talking)}.items():
        post(person, path, body, 403)
    if who == "stranger":
        for path in ("review", "threads", f"threads/{thread['id']}"):
            assert signed_in(person).get(f"{HERE}{path}/").status_code == 403
    assert LedgerEntry.objects.count() == before
    assert (Thread.objects.count(), Review.objects.count()) == (1, 0)


def test_another_drafts_rows_are_not_found(thread: Any, author: User, constitution: Constitution) -> None:
    from tests.constitutions_app.factories import make_constitution

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
        ({**NEW, "quote": "never written"}, 409),
        ({**NEW, "field": "nothing"}, 409),
        ({**NEW, "start": -1}, 400),
        ({**NEW, "start": 10**9}, 400),
        ({**NEW, "body": "\x00"}, 400),
        ({**NEW, "field": "x" * 41}, 400),
        ([], 400),
    ],
)
def test_nonsense_is_refused_in_words(constitution: Constitution, reviewer: User, body: Any, code: int) -> None:
    assert post(reviewer, "threads", body or [1], code)
    assert not Thread.objects.exists()
