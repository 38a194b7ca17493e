from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from constitutions_app.core.principles import canonical_json, digest
from tests.training_app.core.asking_jobs import CONSTITUTION, prompts, write_asking_job
from training_app.core.config import LabelParams, ReviseParams, RlParams, Sampling
from training_app.core.errors import BadInput
from training_app.core.job import Job, read_job
from training_app.core.rows import Prompt

GOOD: dict[str, Any] = {
    "schema": 1,
    "stage": "generate",
    "run": "r",
    "seed": 7,
    "out": "work",
    "model": {"path": "../model", "digest": "ab" * 32},
    "models": {"judge": {"path": "/models/judge", "name": "a judge"}},
    "inputs": {"prompts": {"path": "prompts.jsonl"}},
    "params": {"sampling": {"temperature": 1, "batch_size": 2}},
}


def write(folder: Path, job: dict[str, Any], rows: bytes = b"") -> Path:
    (folder / "prompts.jsonl").write_bytes(rows)
    (folder / "job.json").write_text(json.dumps(job))
    return folder / "job.json"


def _row(**changes: Any) -> bytes:
    return json.dumps({"id": "a", "text": "x", "kind": "helpful"} | changes).encode()


def _turns(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": "x"} for role in roles]


def read(folder: Path, **changes: Any) -> Job:
    return read_job(write(folder, GOOD | changes))


def test_paths_are_relative_to_the_job_file(tmp_path: Path) -> None:
    job = read(tmp_path)
    assert job.out == tmp_path / "work"
    assert job.model.path == tmp_path.parent / "model"
    assert job.model.name == "model"
    assert job.model_for("judge").path == Path("/models/judge")
    assert job.model_for("judge").name == "a judge"
    assert len(job.digest) == 64


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema": 2}, "job.json: schema is 2, this program reads schema 1."),
        ({"stage": 3}, "job.json: stage should be text, not 3."),
        ({"seed": -1}, "job.json: seed should be a whole number from 0 up, not -1."),
        ({"seed": True}, "job.json: seed should be a whole number from 0 up, not true."),
        ({"modle": {}}, "job.json: unknown field 'modle'."),
        ({"model": {"name": "x"}}, "job.json: model.path should be text, not null."),
        ({"model": {"path": "x", "digest": "ab"}}, "job.json: model.digest should be 64 hexadecimal digits, not"),
        ({"models": {"judge": []}}, "job.json: models.judge should be an object, not list."),
        ({"inputs": {"prompts": {"path": "p", "rows": "3"}}}, "job.json: inputs.prompts.rows should be a whole number"),
        ({"constitution": {"path": "c.json"}}, "job.json: constitution.digest is missing."),
    ],
)
def test_it_names_the_field_that_is_wrong(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        read(tmp_path, **changes)
    assert error.value.message.startswith(sentence)


def test_it_names_a_field_that_is_missing(tmp_path: Path) -> None:
    for name in ("schema", "stage", "run", "seed"):
        with pytest.raises(BadInput, match=f"job.json: {name} is missing."):
            read_job(write(tmp_path, {key: value for key, value in GOOD.items() if key != name}))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"schema": 1,\n"stage" 2}', "job.json is not JSON: Expecting ':' delimiter at line 2"),
        (b'{"schema": NaN}', "job.json is not JSON: NaN is not a number"),
        (b"\xff\xfe", "job.json is not JSON:"),
        (b"[]", "job.json: the job should be an object, not list."),
    ],
)
def test_it_says_where_a_job_file_is_not_json(tmp_path: Path, text: bytes, sentence: str) -> None:
    (tmp_path / "job.json").write_bytes(text)
    with pytest.raises(BadInput) as error:
        read_job(tmp_path / "job.json")
    assert error.value.message.startswith(sentence)


def test_a_job_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no job file"):
        read_job(tmp_path / "none.json")


def test_roles_and_parts_that_a_stage_needs_are_named(tmp_path: Path) -> None:
    job = read(tmp_path, model=None, inputs={})
    with pytest.raises(BadInput, match=re.escape("job.json: model is missing; the stage generate needs one.")):
        _ = job.model
    with pytest.raises(BadInput, match=re.escape("job.json: models.reward is missing")):
        job.model_for("reward")
    with pytest.raises(BadInput, match=re.escape("job.json: inputs.prompts is missing")):
        job.input_rows("prompts")
    with pytest.raises(BadInput, match=re.escape("job.json: constitution is missing")):
        job.constitution()


def test_options_come_back_as_their_dataclass(tmp_path: Path) -> None:
    job = read(tmp_path, params={"rounds": 2, "sampling": {"temperature": 1}, "judge": {"digest": "d"}})
    assert job.params(ReviseParams) == ReviseParams(rounds=2, sampling=Sampling(temperature=1.0))
    assert job.judge == {"digest": "d"}


@pytest.mark.parametrize(
    ("kind", "params", "sentence"),
    [
        (ReviseParams, {"round": 2}, "job.json: params.round is not an option of ReviseParams"),
        (ReviseParams, {"rounds": "2"}, "job.json: params.rounds should be int, not '2'."),
        (ReviseParams, {"rounds": True}, "job.json: params.rounds should be int, not True."),
        (ReviseParams, {"rounds": -1}, "job.json: params.rounds is out of range: -1."),
        (ReviseParams, {"format": "html"}, "job.json: params.format should be one of auto, paper, chat, not 'html'."),
        (ReviseParams, {"sampling": {"top_p": 0}}, "job.json: params.sampling.top_p is out of range: 0.0."),
        (ReviseParams, {"sampling": {"tmp": 0}}, "job.json: params.sampling.tmp is not an option of Sampling"),
        (ReviseParams, {"sampling": []}, "job.json: params.sampling should be an object, not []."),
        (LabelParams, {"clamp_low": 1.5}, "job.json: params.clamp_low is out of range: 1.5."),
        (LabelParams, {"clamp_low": "x"}, "job.json: params.clamp_low should be float or null, not 'x'."),
        (RlParams, {"generations": 1}, "job.json: params.generations is out of range: 1."),
    ],
)
def test_an_impossible_option_is_named(tmp_path: Path, kind: type, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        read(tmp_path, params=params).params(kind)
    assert error.value.message.startswith(sentence)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (b"", "prompts.jsonl is empty; the stage generate needs at least one row of prompts."),
        (b'{"id": "a"\n', "prompts.jsonl, line 1: not JSON (Expecting ',' delimiter at column 11)."),
        (b'\n\n["a"]', "prompts.jsonl, line 3: an object is needed, found list."),
        (b'{"id": "a", "n": NaN}', "prompts.jsonl, line 1: NaN is not a number that JSON knows."),
        (b'{"id": "\xff"}', "prompts.jsonl, line 1: not UTF-8 text (byte 9)."),
        (_row() + b"\n" + _row(text="y"), "prompts.jsonl, line 2: the id 'a' stands already on line 1."),
        (_row(text=" "), "prompts.jsonl, line 1: text is empty."),
        (_row(kind="evil"), "prompts.jsonl, line 1: kind should be red_team or helpful, not 'evil'."),
        (_row(id=7), "prompts.jsonl, line 1: id should be text, not int."),
        (_row(id=None), "prompts.jsonl, line 1: id is missing."),
        (_row(messages=_turns("assistant")), "prompts.jsonl, line 1: messages should go user, assistant"),
        (_row(messages=_turns("user", "assistant")), "prompts.jsonl, line 1: messages should go user, assistant"),
        (_row(messages=_turns("user", "system")), "prompts.jsonl, line 1: a system message may stand only first"),
        (_row(messages=_turns("robot")), "prompts.jsonl, line 1: message 1 has the unknown role 'robot'"),
        (_row(messages="hello"), "prompts.jsonl, line 1: messages should be a list, not str."),
    ],
)
def test_a_malformed_row_is_named_by_line_and_reason(tmp_path: Path, rows: bytes, sentence: str) -> None:
    job = read_job(write(tmp_path, GOOD, rows))
    with pytest.raises(BadInput) as error:
        job.read_input("prompts", Prompt.from_row)
    assert error.value.message.startswith(sentence)


def test_a_changed_input_is_refused(tmp_path: Path) -> None:
    file = write_asking_job(tmp_path, "generate", tmp_path, {"prompts": prompts(3)})
    assert len(read_job(file).input_rows("prompts")) == 3
    (tmp_path / "prompts.jsonl").write_text("{}\n")
    with pytest.raises(BadInput, match="The file of prompts is not the one the job was made for"):
        read_job(file).input_rows("prompts")
    (tmp_path / "prompts.jsonl").unlink()
    with pytest.raises(BadInput, match="The file of prompts is not there"):
        read_job(file).input_rows("prompts")


def test_a_wrong_number_of_rows_is_refused(tmp_path: Path) -> None:
    job = read_job(write(tmp_path, GOOD | {"inputs": {"prompts": {"path": "prompts.jsonl", "rows": 2}}}, b"{}\n"))
    with pytest.raises(BadInput, match=r"prompts.jsonl has 1 rows; the job says 2\."):
        job.input_rows("prompts")


def test_the_constitution_is_pinned_by_digest(tmp_path: Path) -> None:
    file = write_asking_job(tmp_path, "revise", tmp_path, {})
    assert digest(read_job(file).constitution()) == digest(CONSTITUTION)
    path = tmp_path / "constitution.json"
    path.write_text(canonical_json(CONSTITUTION).replace("Be gentle.", "Be rough."))
    with pytest.raises(BadInput, match=r"constitution.json is not the constitution the job names"):
        read_job(file).constitution()
    path.unlink()
    with pytest.raises(BadInput, match="The constitution's file is not there"):
        read_job(file).constitution()


def test_the_identity_of_a_job_is_what_it_asks_for_not_where(tmp_path: Path) -> None:
    job = read(tmp_path)
    moved = read(tmp_path, model={"path": "elsewhere", "digest": "ab" * 32}, out="other")
    assert job.identity() == moved.identity()
    assert job.identity() != read(tmp_path, seed=8).identity()
    assert job.identity() != read(tmp_path, params={}).identity()
