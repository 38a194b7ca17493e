"""Exports by API: asked for, looked at, downloaded in parts, by whoever asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.training_app.api.calls import client_of
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import queue_of
from training_app import export_jobs
from training_app.models import Export

pytestmark = pytest.mark.django_db
HERE = "/api/exports/"


@pytest.fixture(autouse=True)
def own_artifacts(tmp_path: Path, settings: Any) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"


def test_an_export_is_asked_for_and_downloaded_in_parts(made: FinishedRun) -> None:
    mine, other = client_of("reader"), client_of("auditor")
    answer = mine.post(HERE, {"question": "?kind=label&p_from=0"})
    assert answer.status_code == 202 and answer.json()["state"] == "queued"
    here = f"{HERE}{answer.json()['id']}/"
    assert mine.get(f"{here}file/").status_code == 404
    assert export_jobs.run_once(Export.objects.get().pk) == "succeeded"
    row = mine.get(here).json()
    assert row["is_there"] and row["done"] == len(made.labels)
    whole = mine.get(f"{here}file/")
    text = whole.getvalue()
    rest = mine.get(f"{here}file/", headers={"Range": "bytes=7-", "If-Range": f'"{row["digest"]}"'})
    assert (rest.status_code, text[:7] + rest.getvalue()) == (206, text)
    assert mine.post(f"{here}cancel/").status_code == 409
    assert not other.get(HERE).json()["results"]
    assert [other.get(one).status_code for one in (here, f"{here}file/")] == [404, 404]
    assert client_of(None).post(HERE, {}).status_code == 403


def test_texts_and_pairs_are_asked_for(made: FinishedRun) -> None:
    mine = client_of("reader")
    for form, texts, kept in (("jsonl", "all", "all"), ("parquet", "veiled", "veiled"), ("icai", "", "veiled")):
        answer = mine.post(HERE, {"form": form, "texts": texts, "question": "kind=comparison"})
        assert (answer.status_code, answer.json()["texts"]) == (202, kept)


def test_a_run_is_named_for_its_labels_and_for_nothing_else(made: FinishedRun) -> None:
    mine, run = client_of("reader"), str(made.run.pk)
    answer = mine.post(HERE, {"what": "labels", "form": "icai", "run": run})
    assert answer.status_code == 202
    for wrong in (
        {"what": "labels"},
        {"what": "items", "run": run},
        {"texts": "some"},
        {"what": "labels", "run": run, "texts": "all"},
        {"what": "traces", "form": "icai", "run": run},
        {"question": "state=thriving"},
    ):
        assert mine.post(HERE, wrong).status_code == 400, wrong
    assert mine.post(HERE, {"what": "labels", "run": "00000000-0000-4000-8000-000000000000"}).status_code == 404
    assert mine.post(f"{HERE}{answer.json()['id']}/cancel/").json()["state"] == "cancelled"


def test_it_keeps_back_what_is_to_be_judged_blind(made: FinishedRun) -> None:
    mine = client_of("auditor")
    here = f"{HERE}{mine.post(HERE, {}).json()['id']}/file/"
    export_jobs.run_once(Export.objects.get().pk)
    assert mine.get(here).getvalue()
    queue_of(size=1, people=(User.objects.get(pk=Export.objects.get().created_by_id),))
    answer = mine.get(here)
    assert answer.status_code == 403 and "1 item that it may tell" in answer.json()["detail"]
