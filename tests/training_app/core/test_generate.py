from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import SHORT, last_event, prompts, records, write_asking_job, write_script
from training_app.core.events import read_events
from training_app.core.job import read_job
from training_app.core.prompts import NO_TEMPLATE
from training_app.core.rows import Response
from training_app.core.stage import BAD_INPUT, FINISHED, STOPPED, run_job


def test_it_answers_every_prompt_and_says_how_it_went(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    rows = [*prompts(5), *prompts(4, kind="helpful")]
    file = write_asking_job(tmp_path / "out", "generate", model, {"prompts": rows}, SHORT)
    assert run_job(file, lambda: False) == FINISHED
    data = records(tmp_path / "out", "response")
    assert sorted(data) == sorted(row["id"] for row in rows)
    assert all(row["tokens"] <= 12 and row["finish"] in ("stop", "length") for row in data.values())
    events = read_events(tmp_path / "out" / "events.jsonl")
    chose, started, finished = events[0], events[1], events[-1]
    assert (chose["kind"], list(chose["engines"])) == ("engine", ["write"])
    assert (started["total"], started["unit"], started["resumed_at"]) == (9, "prompts", 0)
    assert started["device"].startswith("CPU (")
    assert started["dtype"] in ("bfloat16", "float32")
    assert finished["summary"]["responses"] == 9
    progress = [event for event in events if event["kind"] == "progress"]
    assert [event["done"] for event in progress] == [4, 8, 9]
    batches = [event for event in events if event["kind"] == "batch"]
    assert sorted(key for batch in batches for key in batch["keys"]) == sorted(data)
    assert [batch["together"] for batch in batches] == [[4], [4], [1]]
    assert progress[-1]["prompt_tokens"] == finished["summary"]["prompt_tokens"]
    assert finished["summary"]["prompt_tokens"]["computed"] > 0


def test_its_output_is_the_next_stage_s_input(tmp_path: Path) -> None:
    talk = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "And now?"},
    ]
    script = write_script(tmp_path / "script.json", ["Assistant: Well: then.", ""])
    rows = [{"id": "p1", "text": "And now?", "kind": "red_team", "messages": talk}, prompts(1)[0]]
    file = write_asking_job(tmp_path, "generate", script, {"prompts": rows}, backend="scripted")
    assert run_job(file, lambda: False) == FINISHED
    output = last_event(tmp_path)["outputs"]["responses"]
    rows = list(records(tmp_path, "response").values())
    job = write_asking_job(tmp_path / "next", "revise", script, {"responses": rows})
    read = {row.prompt_id: row for row in read_job(job).read_input("responses", Response.from_row)}
    assert output["rows"] == 2
    assert read["p1"].text == "Well: then."
    assert [message.content for message in read["p1"].messages] == ["Hello", "Hi!", "And now?"]
    assert read["red_team-00"].text == ""


def test_a_stopped_job_repeats_nothing(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    file = write_asking_job(tmp_path / "out", "generate", model, {"prompts": prompts(9)}, SHORT)
    answers = iter([False, True, False, False])
    assert run_job(file, lambda: next(answers)) == STOPPED
    assert last_event(tmp_path / "out") | {"at": ""} == {"seq": 9, "at": "", "kind": "stopped", "done": 4, "total": 9}
    assert run_job(file, lambda: False) == FINISHED
    starts = [event for event in read_events(tmp_path / "out" / "events.jsonl") if event["kind"] == "started"]
    assert [event["resumed_at"] for event in starts] == [0, 4]
    assert len(records(tmp_path / "out", "response")) == 9  # which fails if one stood there twice


def test_a_model_without_a_template_is_noted(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny", chat_template=False)
    file = write_asking_job(tmp_path / "out", "generate", model, {"prompts": prompts(1)}, SHORT)
    assert run_job(file, lambda: False) == FINISHED
    assert read_events(tmp_path / "out" / "events.jsonl")[1]["note"] == [NO_TEMPLATE]


def test_a_missing_model_folder_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_asking_job(tmp_path, "generate", tmp_path / "none", {"prompts": prompts(1)})
    assert run_job(file, lambda: False) == BAD_INPUT
    assert capsys.readouterr().err.startswith("The model folder of none is not there:")
