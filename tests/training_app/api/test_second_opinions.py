"""Second opinions by API: where people disagree, the last word, and what an item's verdicts come to."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from tests.training_app.api.calls import client_for, client_of
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import auditor, queue_of
from training_app.models import Adjudication, Audit

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(made: FinishedRun) -> tuple[User, User]:
    """Two who disagree about the first label and agree about the second, and about the first step."""
    olu, mira = auditor("olu"), auditor("mira")
    said: dict[str, Any] = {"blind": True}
    Audit.objects.create(auditor=olu, label=made.labels[0], verdict="override", choice="a", **said)
    Audit.objects.create(auditor=mira, label=made.labels[0], verdict="agree", choice="b", **said)
    for one in (olu, mira):
        Audit.objects.create(auditor=one, label=made.labels[1], verdict="override", choice="neither", **said)
    Audit.objects.create(auditor=olu, step=made.steps[0], verdict="agree", **said)
    return olu, mira


def test_disagreements_come_with_what_each_said(made: FinishedRun, people: tuple[User, User]) -> None:
    reader = client_of("reader")
    (found,) = reader.get("/api/disagreements/").json()["results"]
    assert (found["label"], found["agreement"], found["final"]["source"]) == (made.labels[0].pk, 0.0, "unresolved")
    assert {one["auditor"] for one in found["standing"]} == {one.pk for one in people}
    assert reader.get("/api/disagreements/?kind=step").json() == {"next": None, "results": []}
    assert reader.get("/api/disagreements/?state=decided").json()["results"] == []
    assert reader.get("/api/disagreements/?after=0.0~999999").json()["results"] == []
    for nonsense in ("kind=user", "state=all"):
        assert reader.get(f"/api/disagreements/?{nonsense}").status_code == 400


def test_the_last_word_is_said_once_by_somebody_neutral(made: FinishedRun, people: tuple[User, User]) -> None:
    label = made.labels[0]
    said = {"id": str(uuid4()), "label": label.pk, "outcome": "neither", "note": "Both leave out the reason."}
    for client in (client_for(people[0]), client_of("reader"), client_of("engineer")):
        assert client.post("/api/adjudications/", said).status_code == 403
    judge = client_of("reviewer")
    assert [judge.post("/api/adjudications/", said).status_code for _ in range(2)] == [201, 201]
    made_once = Adjudication.objects.get()
    assert (made_once.verdict, made_once.choice) == ("override", "neither")
    final = client_of("reader").get(f"/api/labels/{label.pk}/final/").json()
    assert final["final"]["source"] == "adjudicated" and final["final"]["adjudication"] == said["id"]
    assert [one["note"] for one in final["adjudications"]] == [said["note"]]
    for change in ({"note": " "}, {"outcome": "override"}, {"step": 1}, {"label": None}, {"outcome": "x"}):
        assert judge.post("/api/adjudications/", {**said, "id": str(uuid4()), **change}).status_code == 400
    found = client_of("reader").get("/api/adjudications/", {"label": label.pk}).json()["results"]
    assert [one["id"] for one in found] == [said["id"]]


def test_a_final_label_says_where_it_comes_from(made: FinishedRun, people: tuple[User, User]) -> None:
    reader = client_of("reader")
    both = reader.get(f"/api/labels/{made.labels[1].pk}/final/").json()
    assert both["final"] | {"audit": None} == {
        "verdict": "override", "choice": "neither", "source": "unanimous", "backing": 2, "audit": None,
        "adjudication": None,
    }  # fmt: skip
    assert reader.get(f"/api/steps/{made.steps[0].pk}/final/").json()["final"]["verdict"] == "agree"
    nobody = reader.get(f"/api/labels/{made.labels[2].pk}/final/").json()
    assert nobody["final"] is None and nobody["standing"] == []
    assert reader.get("/api/labels/999999/final/").status_code == 404
    assert client_of(None).get(f"/api/labels/{made.labels[1].pk}/final/").status_code == 403


def test_whoever_has_yet_to_judge_is_told_none_of_it(made: FinishedRun, people: tuple[User, User]) -> None:
    Adjudication.objects.create(
        adjudicator=people[0], label=made.labels[0], verdict="agree", choice="b", note="Telling."
    )
    queue_of(size=100, per_item=5)
    jonas, label = client_for(auditor("jonas")), made.labels[0].pk
    for state in ("open", "decided"):
        assert jonas.get(f"/api/disagreements/?state={state}").json() == {"next": None, "results": []}
    assert jonas.get("/api/adjudications/").json()["results"] == []
    assert jonas.get(f"/api/labels/{label}/final/").status_code == 409
    last = {"id": str(uuid4()), "label": label, "outcome": "a", "note": "Mine."}
    assert jonas.post("/api/adjudications/", last).status_code == 403
