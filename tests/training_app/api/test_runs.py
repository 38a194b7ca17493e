"""Runs: engineers launch, cancel, resume and order them; others do not."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from pytest_django import DjangoAssertNumQueries

from tests.training_app import scripted
from tests.training_app.api.calls import client_of
from tests.training_app.factories import FinishedRun, queued_run, running_run
from tests.training_app.scenes import BASE_MODEL, engineer, helpful, red_team
from training_app.models import Run

pytestmark = pytest.mark.django_db


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


def test_a_launch_without_room_on_the_disk_is_refused_with_the_reason(
    made: FinishedRun, tmp_path: Any, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MODELS_ROOT = tmp_path
    scripted.base_model(tmp_path / BASE_MODEL)
    monkeypatch.setattr("training_app.disk.free_bytes", lambda: 0)
    wanted = {"version": made.run.version_id, "base_model": BASE_MODEL, "preset": "demo",
              "prompt_sets": [red_team().slug, helpful().slug]}  # fmt: skip
    refused = client_of("engineer").post("/api/runs/", wanted)
    assert (refused.status_code, list(refused.json())) == (400, ["disk"])
    assert "0.0 GiB are free" in refused.json()["disk"][0]
    assert Run.objects.count() == 1


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


def test_what_is_left_of_a_run_is_told_with_its_source(
    made: FinishedRun, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = running_run(engineer(), made.run.version)
    reader = client_of("reader")
    left = reader.get(f"/api/runs/{run.pk}/").json()["time_left"]
    assert left["to_come"] == ["sample", "label", "reward", "rl", "evaluate"]
    assert (left["unknown"], left["runs"]) == ([], 1)
    assert left["seconds"] > 142
    assert "1 earlier run" in left["source"]
    assert reader.get(f"/api/runs/{made.run.pk}/").json()["time_left"] is None
    with django_assert_max_num_queries(12):
        told = {one["id"]: one["time_left"] for one in reader.get("/api/runs/").json()["results"]}
    assert told == {str(run.pk): left, str(made.run.pk): None}


def test_runs_are_found_by_what_they_were_launched_with(made: FinishedRun) -> None:
    other = queued_run(engineer(), made.run.version, preset="small", name="Evening run")
    reader = client_of("reader")

    def found(query: str) -> list[int]:
        return [run["number"] for run in reader.get(f"/api/runs/?{query}").json()["results"]]

    assert found("preset=small") == found("name=evening") == [other.number]
    assert found(f"created_by={engineer().pk}&name=evening") == [other.number]
    assert found("algorithm=grpo") == found("base_model=SmolLM2-135M-Instruct") == [other.number, made.run.number]
    assert found("algorithm=ppo") == found("base_model=other") == []
    assert reader.get("/api/runs/?algorithm=x").status_code == 400
