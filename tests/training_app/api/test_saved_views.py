"""Saved views by API: one's own and shared ones, kept and removed by their owners."""

from __future__ import annotations

import pytest

from tests.training_app.api.calls import client_of
from tests.training_app.factories import FinishedRun
from training_app.models import SavedView

pytestmark = pytest.mark.django_db
HERE = "/api/saved-views/"


def test_a_view_is_kept_under_a_name_and_answers_as_its_question(made: FinishedRun) -> None:
    mine, other = client_of("reader"), client_of("auditor")
    said = {"name": " my  view ", "query": "?kind=step&flag=no_op&evil__lookup=1"}
    kept = mine.post(HERE, said)
    assert kept.status_code == 201 and (kept.json()["name"], kept.json()["query"]) == (
        "my view",
        "kind=step&flag=no_op",
    )
    assert not other.get(HERE).json()["results"]
    assert other.get(f"{HERE}{kept.json()['id']}/").status_code == 404
    assert mine.post(HERE, {**said, "shared": True}).json()["id"] == kept.json()["id"]
    (view,) = other.get(HERE).json()["results"]
    assert mine.get(f"/api/explore/?{view['query']}").json()["results"]
    assert other.delete(f"{HERE}{view['id']}/").status_code == 404
    assert mine.delete(f"{HERE}{view['id']}/").status_code == 204
    assert not SavedView.objects.exists()


def test_it_refuses_a_question_or_a_name_that_is_none(made: FinishedRun) -> None:
    mine = client_of("reader")
    assert mine.post(HERE, {"name": "x", "query": "state=thriving"}).status_code == 400
    assert "name" in mine.post(HERE, {"name": "\u2003", "query": ""}).json()
    assert client_of(None).post(HERE, {"name": "x", "query": ""}).status_code == 403
