"""A run whose judge or generator is a model server: pinned by name and digest, its address and key kept out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings

from constitutions_app.models import LedgerEntry
from tests.training_app.scenes import QUICK, launched
from training_app.core.servers import ModelServer, allowed_servers
from training_app.jobs import write_job
from training_app.models import AILabel, Judge, Run
from training_app.other_models import judge_parts, server_choices
from training_app.refusals import LaunchRefused
from training_app.runner import run_once

pytestmark = pytest.mark.django_db

URL = "http://10.9.8.7:8000/v1"


@pytest.fixture(autouse=True)
def gpu1(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """One allowed server, and folders of the test's own."""
    settings.MODELS_ROOT, settings.ARTIFACT_ROOT = tmp_path / "models", tmp_path / "artifacts"
    server = {"url": URL, "model": "big", "key_env": "GPU1_KEY"}
    monkeypatch.setenv("MODEL_SERVERS", json.dumps({"gpu1": server}))
    monkeypatch.setenv("GPU1_KEY", "sk-secret")
    return allowed_servers()["gpu1"]


def test_a_launch_pins_the_server_and_tells_nobody_its_address(gpu1: ModelServer) -> None:
    run = launched(judge="gpu1", generator="gpu1")
    pinned = {"backend": "openai", "name": "gpu1", "model": "big", "digest": gpu1.digest}
    assert run.other_models == {"judge": pinned, "generator": pinned}
    entry = LedgerEntry.objects.get(verb="run.launch").body
    job = write_job(run, run.stages.get(slug="generate")).path.read_text()
    assert json.loads(job)["model"] == {"backend": "openai", "name": "gpu1", "digest": gpu1.digest}
    assert gpu1.digest in entry
    for told in (entry, job, json.dumps(run.other_models)):
        assert "10.9.8.7" not in told and "sk-secret" not in told and "GPU1_KEY" not in told


def test_without_a_choice_the_base_model_does_it_all() -> None:
    run = launched()
    assert run.other_models == {}
    assert "backend" not in json.loads(write_job(run, run.stages.get(slug="generate")).path.read_text())["model"]
    assert judge_parts(run)["backend"] == "local"


@pytest.mark.parametrize("chosen", ["gpu2", URL, "../gpu1"])
def test_a_server_nobody_allowed_is_refused(chosen: str) -> None:
    with pytest.raises(LaunchRefused, match="no model server") as refused:
        launched(judge=chosen)
    assert refused.value.field == "judge" and not Run.objects.exists()


def test_people_choose_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_choices() == [("gpu1", "gpu1: big")]
    monkeypatch.setenv("MODEL_SERVERS", "{")
    assert server_choices() == []


@pytest.mark.django_db(transaction=True)
def test_labels_cite_the_server_as_their_judge(gpu1: ModelServer) -> None:
    run = launched(judge="gpu1")
    assert run_once(run.pk, conduct=QUICK) == "succeeded"
    judge = Judge.objects.get(pk=AILabel.objects.filter(run=run).values("judge")[:1])
    assert (judge.model_name, judge.backend, judge.model_digest) == ("big on gpu1", "openai", gpu1.digest)
