"""Launching: everything is checked before anything is written, and a silent queue costs time only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings

from constitutions_app.core import principles as core
from constitutions_app.models import LedgerEntry, Version
from tests.training_app import scripted
from tests.training_app.factories import published_version
from tests.training_app.scenes import BASE_MODEL, comparisons, engineer, helpful, launched, red_team
from training_app import tasks
from training_app.core.config import PRESETS
from training_app.models import PromptSet, Run, RunStage
from training_app.refusals import LaunchRefused

pytestmark = pytest.mark.django_db

Capture = Callable[..., Any]


@pytest.fixture(autouse=True)
def models(tmp_path: Path, settings: LazySettings) -> Path:
    """A MODELS_ROOT of the test's own."""
    settings.MODELS_ROOT = tmp_path / "models"
    return tmp_path / "models"


def version_of(**changes: Any) -> Version:
    """A published version whose principles were changed all alike."""
    plain = published_version(engineer())
    value = plain.to_core()
    value = replace(value, principles=tuple(replace(one, **changes) for one in value.principles))
    return Version.objects.create(
        constitution=plain.constitution, number=plain.number + 1, canonical=core.canonical_json(value),
        digest=core.digest(value), author=engineer(), note="Changed.",
    )  # fmt: skip


def refusal(**changes: Any) -> LaunchRefused:
    """The refusal of a launch with these changes; nothing may have been written."""
    with pytest.raises(LaunchRefused) as caught:
        launched(**changes)
    assert not Run.objects.exists() and not RunStage.objects.exists()
    assert not LedgerEntry.objects.filter(verb="run.launch").exists()
    return caught.value


def test_it_writes_the_run_its_stages_and_one_ledger_entry() -> None:
    run = launched(overrides={"rl": {"steps": 3}}, name="  First light ")
    assert (run.number, run.name, run.state) == (1, "First light", "queued")
    assert [stage.slug for stage in run.stages.all()] == list(PRESETS["demo"].stages)
    assert run.config["rl"]["steps"] == 3
    assert (run.base_model["name"], run.base_model["path"]) == (BASE_MODEL, BASE_MODEL)
    assert run.base_model["chat_template"] is True
    entry = LedgerEntry.objects.get(verb="run.launch")
    assert run.version.digest in entry.body and run.base_model["digest"] in entry.body
    assert launched(prompt_sets=list(run.prompt_sets.all())).number == 2


def test_it_refuses_what_is_not_published_or_says_nothing() -> None:
    assert str(refusal(version=Version())) == (
        "This constitution has no published version. Publish the draft, then launch the run."
    )
    assert "holds no principle" in str(refusal(version=empty_version()))


def empty_version() -> Version:
    plain = published_version(engineer())
    value = replace(plain.to_core(), principles=())
    return Version.objects.create(
        constitution=plain.constitution, number=9, canonical=core.canonical_json(value), digest=core.digest(value),
        author=engineer(), note="Empty.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "stage"),
    [({"enabled": False}, "revise"), ({"weight": 0.0}, "revise"), ({"stages": ("label",)}, "revise"),
     ({"stages": ("revise",)}, "label")],
)  # fmt: skip
def test_it_refuses_a_version_without_an_enabled_principle_for_a_stage(changes: dict[str, Any], stage: str) -> None:
    refused = refusal(version=version_of(**changes))
    assert f"(stage {stage})" in str(refused) and refused.field == "version"


@pytest.mark.parametrize("named", ["", "nowhere", "../models", "/etc", "a\x00b", "."])
def test_it_refuses_a_model_that_is_not_there(named: str) -> None:
    refused = refusal(base_model=named)
    assert refused.field == "base_model" and str(refused).endswith(".")


def test_it_refuses_a_model_without_safetensors_and_takes_one_by_its_whole_path(models: Path) -> None:
    folder = scripted.base_model(models / "pickled")
    assert launched(base_model=str(folder)).base_model["path"] == "pickled"
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(LaunchRefused, match="no safetensors weights"):
        launched(base_model="pickled", prompt_sets=list(PromptSet.objects.all()))
    assert Run.objects.count() == 1


def test_it_refuses_prompt_sets_that_cannot_be_split() -> None:
    assert "at least two different red-team prompts" in str(refusal(prompt_sets=[helpful()]))
    assert "at least two different" in str(refusal(prompt_sets=[red_team(("One only?",), slug="one")]))
    empty = PromptSet.objects.create(slug="empty", name="Empty", kind="red_team", digest="0" * 64, rows=0)
    assert str(refusal(prompt_sets=[empty])).startswith("The prompt set Empty is empty.")
    twice = red_team()
    assert "chosen twice" in str(refusal(prompt_sets=[twice, twice]))


def test_it_refuses_options_and_seeds_that_make_no_sense(models: Path) -> None:
    assert "rl.steps" in str(refusal(overrides={"rl": {"steps": -1}}))
    assert "no preset" in str(refusal(preset="huge"))
    assert refusal(seed=-1).field == refusal(seed=2**31).field == "seed"
    (scripted.base_model(models / BASE_MODEL) / "tokenizer_config.json").write_text("{}")
    plain = models / "plain"
    scripted.base_model(plain)
    (plain / "tokenizer_config.json").write_text("{}")
    assert "no chat template" in str(refusal(base_model="plain", overrides={"label": {"template": "chat"}}))


def test_a_model_without_chat_template_is_marked_so(models: Path) -> None:
    plain = scripted.base_model(models / "plain")
    (plain / "tokenizer_config.json").write_text("{}")
    assert launched(base_model="plain").base_model["chat_template"] is False
    (plain / "chat_template.jinja").write_text("{{ messages }}")
    assert launched(base_model="plain", prompt_sets=list(PromptSet.objects.all())).base_model["chat_template"] is True


def test_a_queue_that_cannot_be_reached_is_said_and_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Capture
) -> None:
    def down(*args: Any, **options: Any) -> None:
        raise ConnectionRefusedError("no broker")

    monkeypatch.setattr(tasks.advance_run, "apply_async", down)
    said: list[str] = []
    with django_capture_on_commit_callbacks(execute=True):
        run = launched(say=said.append)
    assert Run.objects.get(pk=run.pk).state == "queued"
    assert len(said) == 1 and "The run is kept and starts by itself" in said[0]


def test_it_wakes_a_worker_once_the_run_is_committed(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Capture
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(tasks.advance_run, "apply_async", lambda **options: sent.append(options["args"]))
    with django_capture_on_commit_callbacks(execute=True):
        run = launched(prompt_sets=[red_team(), comparisons()])
        assert sent == []
    assert sent == [(str(run.pk),)]  # only the id travels


def test_a_button_pressed_twice_is_one_launch_and_a_form_changed_in_between_is_another() -> None:
    version, chosen = published_version(engineer()), uuid4()
    first = launched(version, run_id=chosen)
    assert first.pk == chosen
    assert launched(version, run_id=chosen) == first
    assert Run.objects.count() == LedgerEntry.objects.filter(verb="run.launch").count() == 1
    other = launched(version, run_id=chosen, seed=8)
    assert other != first
    assert (other.seed, other.number) == (8, 2)


@pytest.mark.parametrize(
    ("stage", "option", "value"), [("rl", "steps", 10**400), ("rl", "beta", 10**400), ("sft", "batch_size", 2**31)]
)
def test_a_number_beyond_all_columns_is_refused_by_name(stage: str, option: str, value: int) -> None:
    with pytest.raises(LaunchRefused, match=option):
        launched(overrides={stage: {option: value}})


def test_a_model_name_that_no_file_system_holds_is_no_model() -> None:
    with pytest.raises(LaunchRefused, match="no model folder"):
        launched(base_model="\N{PANDA FACE}" * 200)
