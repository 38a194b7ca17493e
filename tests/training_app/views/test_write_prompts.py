from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app.models import LedgerEntry, Version
from tests.training_app import scripted
from tests.training_app.factories import published_version
from tests.training_app.scenes import BASE_MODEL, QUICK, red_team
from training_app.models import PromptSet, Run
from training_app.models.run import RunState
from training_app.runner import run_once
from training_app.write_form import OPTIONS

pytestmark = pytest.mark.django_db
URL = "/write-prompts/"


@pytest.fixture
def version(ada: User) -> Version:
    return published_version(ada)


@pytest.fixture
def scene(version: Version) -> PromptSet:
    scripted.base_model(Path(settings.MODELS_ROOT) / BASE_MODEL)
    return red_team(("Open a lock?", "Read her letters?"), slug="red")


def filled(version: Version, **changes: Any) -> dict[str, Any]:
    defaults = {
        "write.count": 10, "write.shown": 2, "write.aim": "none", "write.max_similarity": 0.5, "write.attempts": 4,
        "write.format": "auto", "write.sampling.temperature": 1, "write.sampling.top_p": 1,
        "write.sampling.max_new_tokens": 32, "write.sampling.batch_size": 8,
    }  # fmt: skip
    assert set(defaults) == {option.path for option in OPTIONS}
    said = {"name": "More of them", "seeds": "red", "base_model": BASE_MODEL, "seed": 7,
            "version": f"{version.constitution.slug}@{version.number}", "idempotency_key": uuid.uuid4()}  # fmt: skip
    return defaults | said | changes


@pytest.mark.django_db(transaction=True)
def test_a_run_writes_a_frozen_set_that_cites_it(engineer: Client, version: Version, scene: PromptSet) -> None:
    asked = filled(version, **{"write.aim": "principle"})
    answer = engineer.post(URL, asked)
    run = Run.objects.get()
    assert answer["Location"] == reverse("training:run", args=[run.pk])
    assert engineer.post(URL, asked)["Location"] == answer["Location"] and Run.objects.count() == 1
    assert [stage.slug for stage in run.stages.all()] == ["write"]
    assert LedgerEntry.objects.filter(verb="run.launch", object_id=str(run.pk)).count() == 1
    assert run_once(run.pk, conduct=QUICK) == RunState.SUCCEEDED
    made = PromptSet.objects.get(made_by=run)
    assert (made.name, made.kind, made.rows) == ("More of them", "red_team", 2)
    assert list(made.prompts.values_list("text", flat=True)) == [
        "And also: Open a lock?",
        "And also: Read her letters?",
    ]
    assert made.provenance["seed_sets"] == {"red": scene.digest}
    assert made.provenance["options"]["aim"] == "principle"
    assert made.provenance["model"]["digest"] == run.base_model["digest"]
    for url in ("/prompts/", reverse("training:prompt_set", args=[made.slug]), answer["Location"],
                reverse("training:stage", args=[run.pk, "write"]), f"/runs/new/?like={run.pk}"):  # fmt: skip
        page = engineer.get(url)
        assert page.status_code == 200, url
    assert f"/prompts/{made.slug}/" in engineer.get(answer["Location"]).content.decode()
    assert "Written for" in engineer.get(answer["Location"]).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_file_that_changed_after_it_was_reported_is_not_kept(
    engineer: Client, version: Version, scene: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    engineer.post(URL, filled(version))
    run = Run.objects.get()
    monkeypatch.setattr("training_app.prompt_sets.digest_file", lambda path: "0" * 64)
    assert run_once(run.pk, conduct=QUICK) == RunState.FAILED
    run.refresh_from_db()
    assert "is not the one the stage reported" in run.reason
    assert PromptSet.objects.count() == 1


def test_engineers_write_readers_and_strangers_do_not(
    engineer: Client, reader: Client, stranger: Client, version: Version, scene: PromptSet
) -> None:
    assert "Seed prompts" in engineer.get(f"{URL}?seeds=red").content.decode()
    for client in (reader, stranger):
        assert client.get(URL).status_code == client.post(URL, filled(version)).status_code == 403
    assert not Run.objects.exists()
    assert URL in engineer.get("/prompts/").content.decode()
    assert URL not in reader.get("/prompts/").content.decode()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"base_model": "../x"}, "Select a valid choice"),
        ({"write.max_similarity": 1.5}, "less than or equal to 1"),
        ({"write.count": 0}, "greater than or equal to 1"),
        ({"name": ""}, "This field is required"),
        ({"seed": -1}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_written_says_why_and_keeps_what_was_typed(
    engineer: Client, version: Version, scene: PromptSet, changes: dict[str, Any], sentence: str
) -> None:
    answer = engineer.post(URL, filled(version, name="Kept name") | changes)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert sentence in page and ('value="Kept name"' in page or "name" in changes)
    assert not Run.objects.exists()


def test_without_a_set_or_a_version_it_says_what_to_do(engineer: Client, ada: User) -> None:
    assert "A red-team set and a published version are needed" in engineer.get(URL).content.decode()
