from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import Error, connection, transaction
from django.test import Client
from django.urls import reverse

from constitutions_app.models import LedgerEntry, Version
from tests.training_app import scripted
from tests.training_app.core.asking_jobs import CONSTITUTION
from tests.training_app.factories import published_version
from tests.training_app.scenes import launched
from training_app import jobs
from training_app.core.exemplars import exemplar_rows
from training_app.models import ExemplarSet, RunStage

pytestmark = pytest.mark.django_db
TEXT = json.dumps(exemplar_rows(CONSTITUTION.exemplars))


@pytest.fixture
def version(ada: User) -> Version:
    return published_version(ada)


def url_of(version: Version) -> str:
    return reverse("training:exemplars", args=[version.constitution.slug, version.number])


def test_engineers_keep_examples_for_a_family_and_readers_read_them(
    engineer: Client, reader: Client, stranger: Client, version: Version
) -> None:
    said = {"family": "llama", "exemplars": TEXT, "note": "<b>small</b>"}
    assert reader.post(url_of(version), said).status_code == stranger.post(url_of(version), said).status_code == 403
    assert engineer.post(url_of(version), said).status_code == 302
    assert engineer.post(url_of(version), said).status_code == 302  # the same again is the same set
    kept = ExemplarSet.objects.get()
    assert kept.to_core() == CONSTITUTION.exemplars
    assert LedgerEntry.objects.filter(verb="exemplars.save").count() == 1
    page = reader.get(url_of(version)).content.decode()
    assert "&lt;b&gt;small&lt;/b&gt;" in page and "<b>small</b>" not in page
    assert kept.digest in page and "Keep examples" not in page
    with pytest.raises(Error, match=r"frozen|never|refuse"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE training_app_exemplarset SET family = 'x'")


def test_what_is_unfit_says_which_example_and_keeps_what_was_typed(engineer: Client, version: Version) -> None:
    rows = exemplar_rows(CONSTITUTION.exemplars)
    rows[1]["revision"] = "Here is the revised response: yes."
    answer = engineer.post(url_of(version), {"family": "llama", "exemplars": json.dumps(rows), "note": "mine"})
    assert answer.status_code == 422
    assert "Example 2 is flagged preamble" in answer.content.decode()
    assert 'value="mine"' in answer.content.decode()
    assert not ExemplarSet.objects.exists()


def test_a_run_takes_the_newest_examples_of_its_model_s_family(engineer: Client, version: Version, ada: User) -> None:
    scripted.base_model(Path(settings.MODELS_ROOT) / "made-up-model")
    family = json.loads((Path(settings.MODELS_ROOT) / "made-up-model" / "config.json").read_text())["model_type"]
    for text in (TEXT, json.dumps(exemplar_rows(CONSTITUTION.exemplars[:1]))):
        engineer.post(url_of(version), {"family": family, "exemplars": text, "note": ""})
    engineer.post(url_of(version), {"family": "other", "exemplars": TEXT, "note": ""})
    run = launched(version, user=ada)
    newest = ExemplarSet.objects.filter(family=family).first()
    assert newest is not None and run.exemplars == newest and len(newest.exemplars) == 1
    stage = RunStage.objects.get(run=run, slug="generate")
    RunStage.objects.filter(pk=stage.pk).update(
        outputs={"responses": {"path": "responses.jsonl", "digest": "0" * 64, "rows": 1}}
    )
    job = json.loads(jobs.write_job(run, RunStage.objects.get(run=run, slug="revise")).path.read_text())
    assert job["inputs"]["exemplars"]["rows"] == 1
    page = engineer.get(reverse("training:run", args=[run.pk])).content.decode()
    assert newest.digest in page
