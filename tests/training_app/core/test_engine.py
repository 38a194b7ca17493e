from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import comparisons, records, responses, write_asking_job
from training_app.core import engine, openvino_llama
from training_app.core.engine import Engine, chosen
from training_app.core.errors import BadInput
from training_app.core.events import FILE, engines_in, read_events
from training_app.core.stage import BAD_INPUT, FINISHED, STOPPED, run_job

VERSIONS = {"openvino": "2026.1", "torch": "2.13.0", "transformers": "5.1"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed, by package; a test takes away from it or changes a version."""
    found = dict(VERSIONS)
    monkeypatch.setattr(engine, "_version", lambda package: found.get(package, ""))
    return found


@pytest.fixture
def judge_job(tmp_path: Path) -> Path:
    """A labelling job of three batches."""
    model = build_tiny_model(tmp_path / "tiny")
    return write_asking_job(tmp_path / "out", "label", model, {"comparisons": comparisons(6)}, {"batch_size": 2})


def after(batches: int) -> Callable[[], bool]:
    """Asks a stage to stop once so many batches are done."""
    asked = iter(range(1000))
    return lambda: next(asked) >= batches


def room(monkeypatch: pytest.MonkeyPatch, *, is_there: bool) -> None:
    monkeypatch.setattr(openvino_llama, "has_room", lambda model: is_there)


def test_the_fastest_engine_is_taken_at_first_and_no_other_afterwards(installed: dict[str, str]) -> None:
    tree = chosen(["tree", "packed"], "bfloat16", None)
    assert tree == Engine("tree", "torch", "2.13.0", "bfloat16")
    assert chosen(["pages", "tree", "packed"], "bfloat16", tree) == tree, "though a faster one has come"


def test_it_says_which_engine_is_not_there_any_more_and_why(installed: dict[str, str]) -> None:
    pages = chosen(["pages"], "bfloat16", None)
    begun = r"^This stage was begun with openvino 2026\.1 in bfloat16 \(pages\), and "
    with pytest.raises(BadInput, match=begun + "here that is not possible now: too little free memory, or another dev"):
        chosen(["tree"], "bfloat16", pages)
    with pytest.raises(BadInput, match=begun + r"here models are read in float32\.$"):
        chosen(["pages"], "float32", pages)
    installed["openvino"] = "2026.2"
    with pytest.raises(BadInput, match=begun + r"here openvino is 2026\.2\.$"):
        chosen(["pages"], "bfloat16", pages)
    del installed["openvino"]
    with pytest.raises(BadInput, match=begun + r"openvino is not installed here any more\.$"):
        chosen(["tree"], "bfloat16", pages)


def test_a_resumed_stage_keeps_to_its_engine_though_a_faster_one_has_room_now(
    judge_job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_llama, "is_installed", lambda: True)
    room(monkeypatch, is_there=False)
    assert run_job(judge_job, after(1)) == STOPPED
    room(monkeypatch, is_there=True)
    assert run_job(judge_job, lambda: False) == FINISHED
    (told,) = [event for event in read_events(judge_job.parent / FILE) if event["kind"] == "engine"]
    assert (told["of"], list(told["engines"]), told["engines"]["judge"]["way"]) == ("model", ["judge"], "tree")
    assert {data["how"]["layout"] for data in records(judge_job.parent, "label").values()} == {""}


def test_a_stage_whose_engine_has_gone_ends_with_one_sentence_and_goes_on_when_it_is_back(
    judge_job: Path, monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openvino_llama, "is_installed", lambda: False)
    assert run_job(judge_job, after(1)) == STOPPED
    done = records(judge_job.parent, "label")
    installed["torch"] = "2.14.0"
    assert run_job(judge_job, lambda: False) == BAD_INPUT
    assert "This stage was begun with torch 2.13.0 in " in (said := capsys.readouterr().err)
    assert said.endswith(
        "here torch is 2.14.0. Resume it where it is there, or launch the run again; what was done is kept.\n"
    )
    assert records(judge_job.parent, "label") == done != {}
    installed["torch"] = "2.13.0"
    assert run_job(judge_job, lambda: False) == FINISHED
    assert len(records(judge_job.parent, "label")) > len(done)


def test_a_stage_that_writes_names_the_engine_that_writes(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    params = {"rounds": 1, "sampling": {"max_new_tokens": 4}}
    job = write_asking_job(tmp_path / "out", "revise", model, {"responses": responses(2)}, params)
    assert run_job(job, lambda: False) == FINISHED
    told = engines_in(job.parent / FILE)
    assert set(told) == {"model"} and set(told["model"]) == {"write"}
    assert told["model"]["write"].version, "its version is that of an installed package"
