from __future__ import annotations

import json

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from constitutions_app.models import Version
from tests.training_app import factories
from tests.training_app.views.test_launch import launched, typed, version
from training_app.core.config import PRESETS
from training_app.models import Run

__all__ = ("launched", "version")
pytestmark = pytest.mark.django_db


def test_a_run_is_taken_away_as_yaml_and_read_into_the_form(
    engineer: Client, reader: Client, stranger: Client, ada: User, version: Version
) -> None:
    run = factories.queued_run(ada, version, preset="small", name="as before")
    run.config["rl"]["steps"] = 33
    run.save()
    sent = reader.get(f"/runs/{run.pk}/run.yaml")
    assert stranger.get(f"/runs/{run.pk}/run.yaml").status_code == 403
    text = sent.content.decode()
    assert sent["Content-Disposition"] == f'attachment; filename="run-{run.number}.yaml"'
    assert yaml.safe_load(text)["options"]["rl"]["steps"] == 33
    run.base_model["name"] = "tiny"
    page = engineer.post(
        "/runs/new/",
        typed(
            name="typed",
            read_file="1",
            run_file=SimpleUploadedFile("run.yaml", yaml_with(text, base_model="tiny").encode()),
        ),
    ).content.decode()
    assert "The file is filled in." in page
    assert 'name="rl.steps" value="33"' in page
    assert f'name="rl.beta" value="{PRESETS["small"].rl.beta}"' in page
    assert 'value="as before"' in page


def yaml_with(text: str, **choices: str) -> str:
    """The file with other choices and nothing said of digests and prompt sets."""
    data = yaml.safe_load(text) | choices
    del data["digests"]
    data.pop("prompt_sets", None)
    return yaml.safe_dump(data)


def test_what_a_file_cannot_say_is_named_by_line_and_nothing_is_lost(
    engineer: Client, version: Version, launched: list[dict[str, object]]
) -> None:
    text = "preset: full\noptions:\n  rl:\n    steps: <b>\n    beta: 0.5\n"
    response = engineer.post("/runs/new/", typed(name="typed", read_file="1", run_text=text))
    page = response.content.decode()
    assert response.status_code == 422
    assert "Line 4, <code>rl.steps</code>: It should be a whole number." in page
    assert 'name="rl.beta" value="0.5"' in page
    assert f'name="rl.generations" value="{PRESETS["full"].rl.generations}"' in page
    assert 'value="typed"' in page
    assert "steps: &lt;b&gt;" in page
    assert launched == []


@pytest.mark.parametrize("sent", [b"", b"\xff\xfe"])
def test_an_empty_or_strange_file_says_so(engineer: Client, version: Version, sent: bytes) -> None:
    response = engineer.post("/runs/new/", typed(read_file="1", run_file=SimpleUploadedFile("run.yaml", sent)))
    assert response.status_code == 422
    assert "Not everything in the file could be used." in response.content.decode()


def test_the_form_is_saved_as_a_file_only_when_it_is_valid(
    engineer: Client, version: Version, launched: list[dict[str, object]]
) -> None:
    saved = engineer.post("/runs/new/", typed(write_file="1", **{"rl.steps": "3"}))
    data = yaml.safe_load(saved.content)
    assert saved["Content-Type"].startswith("application/yaml")
    assert (data["version"], data["base_model"], data["prompt_sets"]) == (
        "harmless-assistant@1",
        "tiny",
        ["red", "help"],
    )
    assert data["options"]["rl"]["steps"] == 3
    assert set(data["digests"]["prompt_sets"]) == {"red", "help"}
    assert engineer.post("/runs/new/", typed(write_file="1", **{"rl.steps": "many"})).status_code == 422
    assert launched == []
    assert not Run.objects.exists()


def test_cloning_says_what_cannot_be_chosen_any_more(engineer: Client, ada: User, version: Version) -> None:
    run = factories.queued_run(ada, version)
    Run.objects.filter(pk=run.pk).update(base_model={"name": "gone <i>", "digest": ""})
    page = engineer.get(f"/runs/new/?like={run.pk}").content.decode()
    assert "Not everything of that run can be chosen any more." in page
    assert "gone &lt;i&gt;" in page
    assert "<code>base_model</code>" in page
    assert json.dumps("gone <i>") not in page


def test_the_page_of_a_run_offers_to_clone_it_at_any_time(engineer: Client, reader: Client, ada: User) -> None:
    run = factories.queued_run(ada)
    page = engineer.get(f"/runs/{run.pk}/").content.decode()
    assert f"/runs/new/?like={run.pk}" in page
    assert f"/runs/{run.pk}/run.yaml" in page
    assert "/runs/new/" not in reader.get(f"/runs/{run.pk}/").content.decode()
