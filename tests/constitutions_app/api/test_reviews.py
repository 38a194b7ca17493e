from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.models import (
    Constitution,
    LedgerEntry,
    Review,
    Suggestion,
    Thread,
)
from constitutions_app.reviewing import Rules
from tests.constitutions_app.api.calls import API, NEW_THREAD, post
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import principle_of

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("who", ["stranger", "reader", "reviewer"])
def test_what_a_role_may_not_do_is_refused(
    who: str, thread: Any, constitution: Constitution, request: pytest.FixtureRequest, author: User
) -> None:
    person = request.getfixturevalue(who)
    suggestion = Suggestion.objects.get().pk
    writing: dict[str, object] = {"review": {}, f"suggestions/{suggestion}/apply": {}}
    talking: dict[str, object] = {
        "review/verdicts": {"word": "comment", "note": "x", "revision": 0},
        "threads": NEW_THREAD,
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
            assert signed_in(person).get(f"{API}/{path}/").status_code == 403
    assert LedgerEntry.objects.count() == before
    assert (Thread.objects.count(), Review.objects.count()) == (1, 0)
