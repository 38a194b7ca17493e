"""The numbers by API: figures with intervals by principle, judge, tag and auditor, and none of what waits."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from tests.training_app.api.calls import client_for, client_of
from tests.training_app.factories import FinishedRun, cited
from tests.training_app.queue_scenes import auditor, queue_of
from training_app import tasks
from training_app.models import Audit, NumbersReport
from training_app.numbers.keeping import renew

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


def test_no_figure_has_in_it_what_somebody_has_yet_to_judge(judged: FinishedRun) -> None:
    """Whatever is subtracted from what, or from yesterday's: what is not in a figure does not come out of it."""
    queue = queue_of(size=2, per_item=5, rule="newest")
    waiting = {one.label_id for one in queue.items.all()}
    left = [one for one in judged.labels if one.pk not in waiting]
    jonas, reader = client_for(auditor("jonas")), client_of("reader")
    told, everything = jonas.get(HERE).json(), reader.get(HERE).json()
    assert told["is_blind"] and not everything["is_blind"]
    assert told["data"]["whole"]["judged"] == len(left) == everything["data"]["whole"]["judged"] - 2
    assert sum(one["labels"] for one in told["data"]["principles"]) == len(left)
    assert sum(one["judged"] for one in told["data"]["judges"]) == len(left)
    assert sum(one["verdicts"] for one in told["data"]["auditors"]) == told["audits"] < everything["audits"]
    mira = auditor("mira2")
    for pk in waiting:  # peers go on judging, and nothing moves
        Audit.objects.create(auditor=mira, label_id=pk, verdict="override", choice="neither", blind=True)
    again = jonas.get(HERE).json()
    assert again["data"] == told["data"] and reader.get(HERE).json()["data"] != everything["data"]
    queue.closed_at = timezone.now()
    queue.save(update_fields=["closed_at"])
    cache.clear()
    assert jonas.get(HERE).json()["data"] == reader.get(HERE).json()["data"]


def test_kept_figures_from_before_a_queue_are_not_told_to_whom_it_is_for(
    judged: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_app.numbers.keeping.AT_ONCE", {Audit: 1})
    monkeypatch.setattr(tasks.compute_numbers, "apply_async", lambda **options: None)
    first = queue_of(size=1, per_item=5, rule="newest")
    jonas, reader = client_for(auditor("jonas")), client_of("reader")

    def computed(client: APIClient) -> Any:
        assert client.post(HERE).status_code == 202
        renew()
        return client.get(HERE).json()

    seen = [computed(one)["data"]["whole"]["judged"] for one in (jonas, reader)]
    assert seen == [len(judged.labels) - 1, len(judged.labels)]
    queue_of(size=3, per_item=5, rule="newest")
    withheld = jonas.get(HERE).json()
    assert withheld["is_withheld"] and withheld["data"] is None and reader.get(HERE).json()["data"]
    assert computed(jonas)["data"]["whole"]["judged"] == len(judged.labels) - 3
    assert first.items.count() == 1


def test_kept_figures_cost_a_few_queries(judged: FinishedRun) -> None:
    reader = client_of("reader")
    with patch("training_app.numbers.keeping.AT_ONCE", {Audit: 0}), CaptureQueriesContext(connection) as asked:
        assert reader.get(HERE).json()["data"] is None
    assert len(asked) <= 6
