"""Every list: everybody with a role reads everything, at the same cost, and no key reaches a lookup by itself."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tests.training_app.api.calls import client_for, client_of, first
from tests.training_app.factories import (
    FinishedRun,
    chat_turn,
    cited,
    export,
    finished_run,
    hub_copy,
    judge_evaluation,
    signature,
)
from training_app.api import VIEWS
from training_app.models import (
    Adjudication,
    Audit,
    AuditQueue,
    CheckpointAlias,
    ReleaseRules,
    RunGroup,
    SavedView,
    SignOff,
)

pytestmark = pytest.mark.django_db
POSTED = ("runs", "audits", "queues", "saved-views", "adjudications", "chats", "exports")
FULLER = ("queues", "run-groups")
"""Lists of which one alone comes with more than the list says of it."""
OWN = ("chats", "exports")
"""Lists of what the caller wrote."""
ALONE = ("exports",)
"""What nobody but its owner reads even by its id."""


@pytest.fixture(scope="module")
def crowd(scene: FinishedRun) -> FinishedRun:
    """Three runs of the same version, the labels of the first judged."""
    for _ in range(2):
        finished_run(scene.run.created_by, scene.run.version)
    Audit.objects.bulk_create(
        Audit(auditor=scene.run.created_by, label=label, verdict="agree", blind=False) for label in scene.labels
    )
    boss = scene.run.created_by
    judge_evaluation(boss)
    SavedView.objects.create(name="Open", owner=boss, query="state=disputed", shared=True)
    Adjudication.objects.bulk_create(
        Adjudication(adjudicator=boss, label=label, verdict="agree", choice="b", note="Read twice.")
        for label in scene.labels
    )
    SignOff.objects.create(checkpoint=scene.rl, role="engineer", word="approve", person=boss)
    SignOff.objects.create(checkpoint=scene.sft, role="engineer", word="approve", person=boss)
    CheckpointAlias.objects.create(
        constitution=scene.run.version.constitution, name="candidate", checkpoint=scene.rl, moved_by=boss
    )
    ReleaseRules.objects.create(constitution=scene.run.version.constitution, roles=["auditor"], updated_by=boss)
    RunGroup.objects.bulk_create(RunGroup(arms=["plain", "short"], created_by=boss) for _ in range(2))
    for number in range(2):
        AuditQueue.objects.create(name=f"Queue {number}", kind="labels", rule="newest", created_by=boss)
    chat_turn(scene)
    for checkpoint in (scene.rl, scene.sft):
        signature(scene, checkpoint=checkpoint)
        hub_copy(scene, checkpoint=checkpoint)
        export(boss)
    return scene


@pytest.mark.parametrize("name", [name for name, _ in VIEWS])
def test_every_object_is_for_readers_and_for_nobody_else(crowd: FinishedRun, name: str) -> None:
    reader = client_for(crowd.run.created_by) if name in ALONE else client_of("reader")
    row = first(client_for(crowd.run.created_by) if name in OWN else reader, name)
    found = reader.get(f"/api/{name}/{row['id']}/").json()
    assert found == row or (name in FULLER and row.items() <= found.items())
    for stranger, status in ((APIClient(), 401), (client_of(None), 403)):
        assert stranger.get(f"/api/{name}/").status_code == status
        assert stranger.get(f"/api/{name}/{row['id']}/").status_code == status
    for method in ("put", "patch", "delete"):
        status = 404 if (name, method) == ("saved-views", "delete") else 405
        assert getattr(client_of("admin"), method)(f"/api/{name}/{row['id']}/", {}).status_code == status
    if name not in POSTED:
        assert client_of("admin").post(f"/api/{name}/", {}).status_code == 405


@pytest.mark.parametrize("name", [name for name, _ in VIEWS])
def test_a_list_costs_the_same_for_one_row_and_for_many(crowd: FinishedRun, name: str) -> None:
    reader = client_of("reader")
    counts = []
    for size in (1, 50):
        with CaptureQueriesContext(connection) as asked:
            assert reader.get(f"/api/{name}/", {"page_size": size}).status_code == 200
        counts.append(len(asked))
    assert abs(counts[0] - counts[1]) <= 1  # the roles are asked for once


def test_only_declared_filters_work(made: FinishedRun) -> None:
    reader = client_of("reader")
    label = made.labels[0]
    wanted = {"principle_key": cited(label).key, "run": str(made.run.pk)}
    found = reader.get("/api/labels/", wanted).json()["results"]
    assert found and {row["principle_key"] for row in found} == {cited(label).key}
    everything = len(reader.get("/api/labels/").json()["results"])
    for key in ("run__created_by__password__startswith", "judge__name__regex", "pk__in", "_connector"):
        assert len(reader.get("/api/labels/", {key: "x"}).json()["results"]) == everything
    assert reader.get("/api/runs/", {"state": "thriving"}).status_code == 400
    assert reader.get("/api/labels/", {"run": "not-a-uuid"}).status_code == 400
    assert reader.get("/api/labels/not-a-number/").status_code == 404
    assert reader.get(f"/api/runs/{uuid4()}/").status_code == 404
