"""The API: everybody with a role reads everything, verbs are for their roles, and no key reaches a lookup by itself."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tests.training_app import scripted
from tests.training_app.factories import (
    FinishedRun,
    cited,
    finished_run,
    judge_evaluation,
    person,
    queued_run,
    running_run,
)
from tests.training_app.scenes import BASE_MODEL, engineer, helpful, red_team
from training_app.api import VIEWS
from training_app.models import Audit, Run

pytestmark = pytest.mark.django_db


def client_of(role: str | None, name: str = "") -> APIClient:
    """A client signed in with one role, or with none."""
    user = person(name or f"{role or 'nobody'}-{uuid4().hex[:6]}")
    if role:
        user.groups.add(Group.objects.get(name=role))
    client = APIClient()
    client.force_authenticate(User.objects.get(pk=user.pk))
    return client


@pytest.fixture
def made() -> FinishedRun:
    cache.clear()
    return finished_run(engineer())


def first(client: APIClient, name: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/{name}/", query)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["results"][0]
    return found


@pytest.mark.parametrize("name", [name for name, _ in VIEWS])
def test_every_object_is_for_readers_and_for_nobody_else(made: FinishedRun, name: str) -> None:
    Audit.objects.create(auditor=engineer(), label=made.labels[0], verdict="agree", blind=False)
    judge_evaluation(engineer())
    reader = client_of("reader")
    row = first(reader, name)
    assert reader.get(f"/api/{name}/{row['id']}/").json() == row
    for stranger, status in ((APIClient(), 401), (client_of(None), 403)):
        assert stranger.get(f"/api/{name}/").status_code == status
        assert stranger.get(f"/api/{name}/{row['id']}/").status_code == status
    for method in ("put", "patch", "delete"):
        assert getattr(client_of("admin"), method)(f"/api/{name}/{row['id']}/", {}).status_code == 405
    if name not in ("runs", "audits"):
        assert client_of("admin").post(f"/api/{name}/", {}).status_code == 405


@pytest.mark.parametrize("name", [name for name, _ in VIEWS])
def test_a_list_costs_the_same_for_one_row_and_for_many(made: FinishedRun, name: str) -> None:
    for _ in range(2):
        finished_run(engineer(), made.run.version)
    Audit.objects.bulk_create(
        Audit(auditor=engineer(), label=label, verdict="agree", blind=False) for label in made.labels
    )
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


def test_engineers_launch_and_others_do_not(made: FinishedRun, tmp_path: Any, settings: LazySettings) -> None:
    settings.MODELS_ROOT = tmp_path
    scripted.base_model(tmp_path / BASE_MODEL)
    wanted = {
        "version": made.run.version_id, "base_model": BASE_MODEL, "preset": "demo", "seed": 3,
        "prompt_sets": [red_team().slug, helpful().slug], "overrides": {"rl": {"steps": 2}},
    }  # fmt: skip
    for role in ("reader", "author", "auditor", "reviewer"):
        assert client_of(role).post("/api/runs/", wanted).status_code == 403
    answer = client_of("engineer").post("/api/runs/", wanted)
    assert answer.status_code == 201, answer.content
    run = answer.json()
    assert (run["state"], run["config"]["rl"]["steps"], run["notice"], len(run["stages"])) == ("queued", 2, "", 8)
    refused = client_of("engineer").post("/api/runs/", {**wanted, "base_model": "../../etc"})
    assert (refused.status_code, list(refused.json())) == (400, ["base_model"])
    bad = ({"version": 0}, {"prompt_sets": ["nowhere"]}, {"preset": "x"}, {"overrides": {"rl": 1}}, {"seed": -1})
    for change in bad:
        assert client_of("engineer").post("/api/runs/", {**wanted, **change}).status_code == 400
    assert Run.objects.count() == 2


def test_engineers_cancel_and_resume(made: FinishedRun) -> None:
    run = queued_run(engineer(), made.run.version)
    for verb in ("cancel", "resume"):
        assert client_of("auditor").post(f"/api/runs/{run.pk}/{verb}/").status_code == 403
    boss = client_of("engineer")
    assert boss.post(f"/api/runs/{run.pk}/cancel/").json()["state"] == "cancelled"
    assert boss.post(f"/api/runs/{run.pk}/cancel/").status_code == 409
    assert boss.post(f"/api/runs/{run.pk}/resume/").json()["state"] == "queued"
    assert boss.post(f"/api/runs/{running_run(engineer(), made.run.version).pk}/resume/").status_code == 409
    assert boss.get(f"/api/runs/{run.pk}/cancel/").status_code == 405
    discarded = boss.post(f"/api/runs/{run.pk}/cancel/", {"discard": True}).json()
    assert (discarded["state"], discarded["discarded"]) == ("cancelled", True)
    assert boss.post(f"/api/runs/{run.pk}/resume/").status_code == 409


def test_engineers_order_and_pause_the_queue(made: FinishedRun) -> None:
    first, second = (queued_run(engineer(), made.run.version) for _ in range(2))
    boss, reader = client_of("engineer"), client_of("reader")
    place = f"/api/runs/{second.pk}/place/"
    assert reader.post(place, {"to": "first"}).status_code == 403
    assert boss.post(place, {"to": "first"}).status_code == 200
    assert reader.get("/api/runs/queue/").json() == {
        "paused": False, "reason": "", "runs": [str(second.pk), str(first.pk)]
    }  # fmt: skip
    assert boss.post(place, {"priority": -1}).json()["priority"] == -1
    assert reader.post("/api/runs/queue/", {"paused": True}).status_code == 403
    paused = boss.post("/api/runs/queue/", {"paused": True, "reason": "disks"}).json()
    assert (paused["paused"], paused["reason"]) == (True, "disks")
    assert paused["runs"] == [str(first.pk), str(second.pk)]
    assert boss.post(place, {"to": "sideways"}).status_code == 400
    assert boss.post(f"/api/runs/{made.run.pk}/place/", {"to": "first"}).status_code == 409


def test_auditors_give_verdicts_once(made: FinishedRun) -> None:
    said = {"id": str(uuid4()), "label": made.labels[0].pk, "verdict": "override", "choice": "neither", "blind": True}
    assert client_of("engineer").post("/api/audits/", said).status_code == 403
    auditor = client_of("auditor")
    assert [auditor.post("/api/audits/", said).status_code for _ in range(2)] == [201, 201]
    assert Audit.objects.get().blind is True
    assert client_of("auditor").post("/api/audits/", said).status_code == 400  # somebody else's id
    for change in ({"step": made.steps[0].pk}, {"label": None}, {"choice": ""}, {"verdict": "x"}, {"confidence": 9}):
        assert auditor.post("/api/audits/", {**said, "id": str(uuid4()), **change}).status_code == 400
    assert auditor.post("/api/audits/", {**said, "id": str(uuid4()), "label": 10**9}).status_code == 404
