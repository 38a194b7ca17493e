from __future__ import annotations

from pathlib import Path

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import SHORT, last_event, prompts, records, write_asking_job
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.config import SampleParams, Sampling
from training_app.core.events import EventLog
from training_app.core.rows import Prompt
from training_app.core.sample import RETRIES, draw_pairs
from training_app.core.stage import FINISHED, STOPPED, run_job


def pairs(out: Path, outputs: list[str], *, count: int = 1) -> ScriptedBackend:
    backend = ScriptedBackend(outputs)
    with EventLog(out) as events:
        read = [Prompt.from_row(row) for row in prompts(count)]
        draw_pairs(read, backend, SampleParams(Sampling(batch_size=4)), events, lambda: False, seed=7)
    return backend


def test_it_draws_two_answers_with_seeds_of_their_own(tmp_path: Path) -> None:
    backend = pairs(tmp_path, ["one", "two", "three", "four"], count=2)
    data = records(tmp_path, "comparison")
    answers = sorted((row["response_a"], row["response_b"]) for row in data.values())
    assert answers == [("one", "three"), ("two", "four")]
    assert not any(row["identical"] for row in data.values())
    assert len({request.seed for request in backend.requests}) == 4


def test_an_identical_answer_is_drawn_again_with_another_seed(tmp_path: Path) -> None:
    backend = pairs(tmp_path, ["same", "same", "same", "different"])
    (data,) = records(tmp_path, "comparison").values()
    assert (data["response_a"], data["response_b"], data["identical"]) == ("same", "different", False)
    assert len({request.seed for request in backend.requests}) == 4
    assert len({request.prompt for request in backend.requests}) == 1


def test_what_stays_identical_is_marked(tmp_path: Path) -> None:
    backend = pairs(tmp_path, ["same"] * (2 + RETRIES))
    (data,) = records(tmp_path, "comparison").values()
    assert data["identical"]
    assert not backend.outputs
    assert last_event(tmp_path)["summary"]["identical"] == 1


def test_a_stopped_job_goes_on_with_the_same_pairs(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    whole = write_asking_job(tmp_path / "whole", "sample", model, {"prompts": prompts(5)}, SHORT, constitution=None)
    parts = write_asking_job(tmp_path / "parts", "sample", model, {"prompts": prompts(5)}, SHORT, constitution=None)
    answers = iter([False, True])
    assert run_job(parts, lambda: next(answers)) == STOPPED
    assert run_job(parts, lambda: False) == run_job(whole, lambda: False) == FINISHED
    assert records(tmp_path / "parts", "comparison") == records(tmp_path / "whole", "comparison")
    assert len(records(tmp_path / "whole", "comparison")) == 5
