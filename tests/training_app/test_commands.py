"""The commands: starter material, the demo run, and verifying a checkpoint folder wherever it comes from."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from constitutions_app.models import Constitution, Version
from tests.training_app import scripted
from tests.training_app.scenes import BASE_MODEL, QUICK
from training_app import runner, tasks
from training_app.management.commands import demo
from training_app.models import Checkpoint, Comparison, Prompt, PromptSet, Run
from training_app.runner import run_once


def said(name: str, *arguments: Any) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.mark.django_db
def test_the_starter_material_is_loaded_once() -> None:
    first = said("load_starter")
    assert "Loaded the constitution Harmless assistant" in first and "sha256" in first
    assert said("load_starter") == "The starter material is there already.\n"
    assert Constitution.objects.count() == Version.objects.count() == 2
    kinds = {one.kind: one.rows for one in PromptSet.objects.all()}
    assert kinds["red_team"] >= 48 and kinds["helpful"] >= 24 and kinds["comparisons"] >= 32
    assert Prompt.objects.count() == kinds["red_team"] + kinds["helpful"]
    assert Comparison.objects.filter(source="human").count() == kinds["comparisons"]
    assert set(Comparison.objects.values_list("human_choice", flat=True)) == {"a", "b"}


@pytest.fixture
def offline(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No queue and no worker; stages are scripted ones, and the demo is quick to notice that nobody works."""
    settings.MODELS_ROOT = tmp_path
    scripted.base_model(tmp_path / BASE_MODEL)
    monkeypatch.setattr(tasks.advance_run, "apply_async", lambda **options: None)
    monkeypatch.setattr(demo, "PATIENCE_S", 0.1)
    monkeypatch.setattr(demo, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(runner, "Conduct", lambda: QUICK)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("offline")
def test_the_demo_works_without_a_worker_and_ends_with_one_json_object(tmp_path: Path) -> None:
    output = said("demo", "--wait", "--base-model", BASE_MODEL)
    lines = output.splitlines()
    told = json.loads(lines[-1])
    run = Run.objects.get()
    assert (told["run"], told["state"]) == (str(run.pk), "succeeded")
    assert [one["stage"] for one in told["checkpoints"]] == ["sft", "reward", "rl"]
    assert {one["constitution_digest"] for one in told["checkpoints"]} == {run.version.digest}
    assert all((Path(one["path"]) / "manifest.json").is_file() for one in told["checkpoints"])
    for place, stage in enumerate(run.stages.all(), start=1):
        assert f"  {place}/8 {stage.slug:<9} succeeded" in output
    assert "this command does the work itself" in output and output.count("verifies (") == 3

    again = said("demo", "--wait", "--base-model", BASE_MODEL)
    assert json.loads(again.splitlines()[-1]) == told and Run.objects.count() == 1
    _verifying(Path(told["checkpoints"][2]["path"]), tmp_path)


def _verifying(folder: Path, tmp_path: Path) -> None:
    """A sound checkpoint verifies here and elsewhere; every kind of tampering is found and named."""
    assert "the one the database knows: rl of Run 1" in said("verify_checkpoint", folder)
    for file, words in (
        ("model.safetensors", "model.safetensors"),
        ("constitution.json", "constitution.json"),
        ("config.json", "config.json"),
        ("manifest.json", "manifest.json"),
    ):
        copy = tmp_path / f"tampered-{file}"
        shutil.copytree(folder, copy)
        content = bytearray((copy / file).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / file).write_bytes(content)
        with pytest.raises(CommandError, match=words):
            said("verify_checkpoint", copy)
    forged = _forged(folder, tmp_path / "forged")
    with pytest.raises(CommandError, match="not the one the database knows for this run and stage"):
        said("verify_checkpoint", forged)
    with pytest.raises(CommandError, match="does not verify"):
        said("verify_checkpoint", tmp_path / "nowhere")
    Checkpoint.objects.all()  # the folder is known here; the next one is not
    foreign = _forged(folder, tmp_path / "foreign", run="b0a7d6a8-0000-4000-8000-000000000000")
    assert "not known here" in said("verify_checkpoint", foreign)


def _forged(folder: Path, target: Path, **changes: Any) -> Path:
    """A copy whose manifest was changed and sealed anew, as a forger would."""
    from training_app.core.manifest import write_manifest

    shutil.copytree(folder, target)
    content = json.loads((target / "manifest.json").read_text())
    write_manifest(target, {**content, "created_at": "2020-01-01T00:00:00Z", **changes})
    return target


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("offline")
def test_the_demo_says_what_failed_and_exits_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    said("demo", "--base-model", BASE_MODEL)
    run = Run.objects.get()
    run.folder.mkdir(parents=True)
    (run.folder / scripted.SCRIPT).write_text('{"generate": {"fail": "out_of_memory"}}')
    out, errors = StringIO(), StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("demo", "--wait", "--base-model", BASE_MODEL, stdout=out, stderr=errors)
    assert "generate was told to fail" in errors.getvalue()
    assert json.loads(out.getvalue().splitlines()[-1])["state"] == "failed"
    (run.folder / scripted.SCRIPT).unlink()
    assert run_once(run.pk) is None  # ended: only a person (or the demo) resumes it
    assert json.loads(said("demo", "--wait", "--base-model", BASE_MODEL).splitlines()[-1])["state"] == "succeeded"


@pytest.mark.django_db
def test_the_demo_refuses_a_missing_model_in_one_sentence(tmp_path: Path, settings: LazySettings) -> None:
    settings.MODELS_ROOT = tmp_path
    with pytest.raises(CommandError, match="There is no model folder 'SmolLM2-135M-Instruct'"):
        said("demo", "--wait")
    assert not Run.objects.exists()
