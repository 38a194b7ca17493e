"""The numbers by API: figures with intervals by principle, judge, tag and auditor, and none of a few items too many."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.training_app.api.calls import client_for, client_of
from tests.training_app.factories import FinishedRun, cited, finished_run
from tests.training_app.queue_scenes import auditor, queue_of
from training_app import tasks
from training_app.access import FEW
from training_app.models import AILabel, Audit, NumbersReport

pytestmark = pytest.mark.django_db
HERE = "/api/numbers/"


@pytest.fixture
def judged(made: FinishedRun) -> FinishedRun:
    """Every label overridden by one person, the first agreed with by another."""
    olu, mira = auditor("olu"), auditor("mira")
    Audit.objects.bulk_create(
        Audit(auditor=olu, label=one, verdict="override", choice="a" if one.ai_choice != "a" else "b", blind=True)
        for one in made.labels
    )
    Audit.objects.create(auditor=mira, label=made.labels[0], verdict="agree", choice="b", blind=True)
    return made


def figures(node: Any) -> list[dict[str, Any]]:
    """Every figure of an answer, wherever it stands."""
    if isinstance(node, list):
        return [one for part in node for one in figures(part)]
    if not isinstance(node, dict):
        return []
    own = [node] if {"value", "interval", "n"} <= node.keys() else []
    return own + [one for part in node.values() for one in figures(part)]


def test_figures_come_with_their_intervals_by_principle_judge_and_auditor(judged: FinishedRun) -> None:
    said = client_of("reader").get(HERE).json()
    data = said["data"]
    assert (said["audits"], said["is_live"], said["is_withheld"]) == (len(judged.labels) + 1, True, False)
    assert data["whole"]["judged"] == len(judged.labels)
    rate = data["whole"]["overridden"]
    assert rate["interval"][0] <= rate["value"] <= rate["interval"][1] and rate["n"] == len(judged.labels)
    assert {one["key"] for one in data["principles"] if one["labels"]} == {cited(one).key for one in judged.labels}
    assert {one["name"] for one in data["auditors"]} == {"olu", "mira"}
    assert data["judges"][0]["judge"]["cohen"]["n"] and data["judges"][0]["digest"]
    for one in figures(data):
        assert one["value"] is not None or one["note"]


def test_the_scope_is_that_of_the_page(judged: FinishedRun) -> None:
    reader, key = client_of("reader"), cited(judged.labels[0]).key
    said = reader.get(HERE, {"key": key, "tag": "everyday"}).json()
    assert said["scope"] == f"key={key}&tag=everyday"
    assert said["data"]["whole"]["judged"] == sum(cited(one).key == key for one in judged.labels)
    assert reader.get(HERE, {"run": judged.run.number + 1}).json()["data"]["whole"]["judged"] == 0
    assert reader.get(HERE, {"since": "yesterday"}).status_code == 400
    assert client_of(None).get(HERE).status_code == 403


def test_newer_figures_are_asked_for_by_posting(judged: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.compute_numbers, "apply_async", lambda **options: None)
    assert client_of("reader").post(f"{HERE}?key=privacy").status_code == 202
    assert NumbersReport.objects.get().scope == "key=privacy"


def test_whoever_has_yet_to_judge_is_told_no_figure_of_a_few(judged: FinishedRun) -> None:
    queue_of(size=2, per_item=5, rule="newest")
    jonas, reader = client_for(auditor("jonas")), client_of("reader")
    withheld = jonas.get(HERE).json()
    assert withheld["is_withheld"] and withheld["data"] is None
    for _ in range(3):
        finished_run(judged.run.created_by, judged.run.version)
    olu = judged.labels[0].audits.get(verdict="override").auditor
    Audit.objects.bulk_create(
        Audit(auditor=olu, label=label, verdict="override", choice="a", blind=True)
        for label in AILabel.objects.exclude(run=judged.run)
    )
    told = jonas.get(HERE).json()["data"]
    assert told["whole"]["judged"] >= FEW and told["whole"]["overridden"]["value"] is not None
    few = [one for one in figures(told) if 0 < one["n"] < FEW]
    assert few and all(one["value"] is None and one["interval"] is None for one in few)
    assert all(one["chosen"]["n"] >= FEW for one in told["calibration"]["bins"])
    everything = reader.get(HERE).json()["data"]
    assert any(0 < one["n"] < FEW and one["value"] is not None for one in figures(everything))


def test_kept_figures_cost_a_few_queries(judged: FinishedRun) -> None:
    reader = client_of("reader")
    with patch("training_app.numbers.keeping.AT_ONCE", {Audit: 0}), CaptureQueriesContext(connection) as asked:
        assert reader.get(HERE).json()["data"] is None
    assert len(asked) <= 6
