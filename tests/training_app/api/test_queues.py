"""Queues by API: engineers and auditors make them, everybody sees how far they are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.training_app.api.calls import client_for, client_of
from tests.training_app.factories import FinishedRun, person
from tests.training_app.queue_scenes import auditor, judged, queue_of
from training_app.models import AuditQueue

pytestmark = pytest.mark.django_db
HERE = "/api/queues/"


def plan(**changes: Any) -> dict[str, Any]:
    return {"name": "First look", "kind": "labels", "rule": "uniform", "size": 60, **changes}


def test_a_question_of_the_explorer_becomes_a_queue(made: FinishedRun) -> None:
    olu = auditor("olu")
    for role in ("reader", "author", "reviewer"):
        assert client_of(role).post(HERE, plan()).status_code == 403
    answer = client_of("engineer").post(HERE, plan(filters="key=privacy", people=[olu.pk], per_item=2))
    assert answer.status_code == 201, answer.content
    queue = AuditQueue.objects.get()
    said = answer.json()
    assert (said["items_count"], said["wanted"], said["people"]) == (queue.items_count, 2 * queue.items_count, [olu.pk])
    held = {item.label.principle.key for item in queue.items.all() if item.label and item.label.principle}
    assert held == {"privacy"}
    assert client_for(olu).get(f"{HERE}{queue.pk}/").json()["may_judge"] is True
    assert client_of("auditor").get(f"{HERE}{queue.pk}/").json()["may_judge"] is False


def test_it_refuses_a_queue_that_does_not_hold_together(made: FinishedRun) -> None:
    boss = client_of("engineer")
    for change, field in (
        ({"filters": "key=none"}, "detail"), ({"filters": "user__password=x"}, "filters"), ({"size": 0}, "size"),
        ({"kind": "steps", "rule": "uncertain"}, "rule"), ({"filters": "kind=audit"}, "kind"),
        ({"people": [person("nobody").pk]}, "people"), ({"calibration": 2}, "calibration"),
    ):  # fmt: skip
        answer = boss.post(HERE, plan(**change))
        assert (answer.status_code, list(answer.json())) == (400, [field]), change
    assert not AuditQueue.objects.exists()


def test_everybody_sees_how_far_it_is(made: FinishedRun) -> None:
    olu, mira = auditor("olu"), auditor("mira")
    queue = queue_of()
    for _ in range(2):
        judged(olu, queue)
    judged(mira, queue)
    said = client_for(olu).get(f"{HERE}{queue.pk}/").json()
    assert said["shares"] == [{"person": "olu", "decided": 2}, {"person": "mira", "decided": 1}]
    assert (said["decisions"], said["today"]) == (3, 2)


def test_whoever_made_it_closes_it_and_says_whom_it_is_for(made: FinishedRun) -> None:
    olu, boss = auditor("olu"), client_for(made.run.created_by)
    queue = queue_of()
    for verb in ("close", "assign"):
        assert client_of("auditor").post(f"{HERE}{queue.pk}/{verb}/", {}).status_code == 403
    assert boss.post(f"{HERE}{queue.pk}/assign/", {"people": [olu.pk]}).json()["people"] == [olu.pk]
    assert [one["id"] for one in client_for(olu).get(HERE, {"mine": True}).json()["results"]] == [queue.pk]
    assert not client_of("auditor").get(HERE, {"mine": True}).json()["results"]
    assert boss.post(f"{HERE}{queue.pk}/close/").json()["closed_at"]
    assert not boss.get(HERE, {"is_open": True}).json()["results"]
