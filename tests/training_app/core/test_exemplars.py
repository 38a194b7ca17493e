from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import CONSTITUTION, records, responses, write_asking_job, write_script
from training_app.core.errors import BadInput
from training_app.core.exemplars import exemplar_rows, exemplars_digest, family_of, read_exemplars
from training_app.core.stage import FINISHED, run_job

GOOD = exemplar_rows(CONSTITUTION.exemplars)


def changed(**parts: str) -> str:
    return json.dumps([GOOD[0] | parts])


def test_the_examples_come_back_as_they_were_and_one_may_change_nothing() -> None:
    assert read_exemplars(json.dumps(GOOD)) == CONSTITUTION.exemplars
    assert exemplars_digest(CONSTITUTION.exemplars) != exemplars_digest(CONSTITUTION.exemplars[:1])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON"),
        ("[]", "A JSON list of 1 to 20 examples"),
        ("[1]", "Example 1 should be an object, not int"),
        (changed(revision=" "), "Example 1: revision should be text and not empty"),
        (changed(more="x"), "Example 1: unknown part 'more'"),
        (changed(revision=GOOD[0]["critique"]), "Example 1 is flagged critique_as_revision"),
        (changed(revision="Here is the revised response: Hello!"), "Example 1 is flagged preamble"),
    ],
)
def test_what_a_model_must_not_copy_is_refused_by_number(text: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read_exemplars(text)


def test_a_family_is_what_the_model_s_config_says(tmp_path: Path) -> None:
    assert family_of(build_tiny_model(tmp_path / "tiny")) == "llama"
    assert family_of(tmp_path) == ""
    (tmp_path / "config.json").write_text('{"model_type": 3}')
    assert family_of(tmp_path) == ""


def test_a_job_with_examples_of_its_own_shows_those(tmp_path: Path) -> None:
    script = write_script(tmp_path / "script.json", ["C", "R"])
    other: list[dict[str, Any]] = [GOOD[0] | {"prompt": "Shown to this family"}]
    inputs = {"responses": responses(1), "exemplars": other}
    file = write_asking_job(tmp_path / "out", "revise", script, inputs, {"rounds": 1}, backend="scripted")
    assert run_job(file, lambda: False) == FINISHED
    (step,) = records(tmp_path / "out", "step").values()
    assert step["sent"]["critique"].startswith("\n\nHuman: Shown to this family\n\nAssistant: Go away.")
    assert "Human: Help?" not in step["sent"]["critique"]
