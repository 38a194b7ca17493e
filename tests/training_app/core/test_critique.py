from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from constitutions_app.core.principles import Constitution, Principle
from constitutions_app.core.wordings import wordings_for
from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import (
    CONSTITUTION,
    SHORT,
    last_event,
    records,
    responses,
    write_asking_job,
    write_script,
)
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.config import ReviseParams, Sampling
from training_app.core.critique import revise
from training_app.core.events import EventLog
from training_app.core.prompts import PromptFormat
from training_app.core.rows import Response
from training_app.core.stage import BAD_INPUT, FINISHED, STOPPED, run_job


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


def scripted(
    out: Path, rows: list[dict[str, Any]], outputs: list[str], **params: Any
) -> tuple[ScriptedBackend, EventLog]:
    backend = ScriptedBackend(outputs, max_words=params.pop("max_words", None))
    events = EventLog(out)
    options = ReviseParams(**params)
    read = [Response.from_row(row) for row in rows]
    revise(read, CONSTITUTION, backend, options, events, lambda: False, seed=7)
    return backend, events


def test_it_sends_exactly_the_paper_s_prompts(tmp_path: Path) -> None:
    row = responses(1)[0] | {"text": "No."}
    backend, _ = scripted(tmp_path, [row], ["C one", "R one", "C two", "R two"], rounds=2, exemplars=1)
    steps = records(tmp_path, "step")
    form, response, talk = PromptFormat(), Response.from_row(row), Response.from_row(row).messages
    sent = [request.prompt for request in backend.requests]
    expected = []
    for number, answer in ((1, response.text), (2, "R one")):
        step = steps[f"{response.prompt_id}/{number}"]
        principle = CONSTITUTION.principle(step["principle_id"])
        assert principle is not None
        wordings = wordings_for(principle)
        assert (step["critique_request"], step["revision_request"]) == (
            wordings.critique_request,
            wordings.revision_request,
        )
        examples = CONSTITUTION.exemplars[:1]
        expected += [
            form.critique(talk, answer, wordings, examples),
            form.revision(talk, answer, wordings, step["critique"], examples),
        ]
        assert step["sent"] == {"critique": expected[-2], "revision": expected[-1]}
    assert sent == expected
    assert [steps[f"{response.prompt_id}/{n}"]["revision"] for n in (1, 2)] == ["R one", "R two"]
    assert sent[0].startswith("\n\nHuman: Hi\n\nAssistant: Go away.")
    assert sent[2].count("R one") == 1
    assert "C one" not in sent[2]  # a round starts from the revision as an ordinary answer


def test_a_label_of_its_own_is_taken_off_and_what_follows_a_colon_is_kept(tmp_path: Path) -> None:
    scripted(tmp_path, responses(1), ["Critique: harsh: very.", "Revision: Step 1: wait. Step 2: go."], rounds=1)
    (step,) = records(tmp_path, "step").values()
    assert (step["critique"], step["revision"]) == ("harsh: very.", "Step 1: wait. Step 2: go.")


def test_flags_are_those_of_the_cleaned_texts(tmp_path: Path) -> None:
    row = responses(1)[0] | {"text": "Wait."}
    outputs = ["It is harsh.", "Revision: wait", "long " * 9, "I'm sorry, I can't help."]
    scripted(tmp_path, [row], outputs, rounds=2, max_words=8)
    flags = [step["flags"] for _, step in sorted(records(tmp_path, "step").items())]
    assert flags == [["no_op"], ["truncated", "refusal"]]
    assert last_event(tmp_path)["summary"]["flags"] == {"no_op": 1, "refusal": 1, "truncated": 1}


def test_an_empty_revision_is_kept_and_the_next_round_goes_on_from_the_last_answer(tmp_path: Path) -> None:
    row = responses(1)[0] | {"text": "First answer."}
    backend, _ = scripted(tmp_path, [row], ["C", "", "C", "R"], rounds=2)
    assert records(tmp_path, "step")["red_team-00/1"]["flags"] == ["empty"]
    assert "\n\nAssistant: First answer.\n\nCritiqueRequest:" in backend.requests[2].prompt


def test_a_partial_conversation_is_kept_whole(tmp_path: Path) -> None:
    talk = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "And now?"},
    ]
    row = responses(1)[0] | {"prompt": "And now?", "messages": talk}
    backend, _ = scripted(tmp_path, [row], ["C", "R"], rounds=1, exemplars=0)
    assert backend.requests[0].prompt.startswith("\n\nHuman: Hello\n\nAssistant: Hi!\n\nHuman: And now?\n\nAssistant:")


def test_without_a_critique_the_answer_is_revised_at_once_and_nothing_is_missed(tmp_path: Path) -> None:
    row = responses(1)[0] | {"text": "No."}
    backend, _ = scripted(tmp_path, [row], ["R one", "Revision: a: b"], rounds=2, exemplars=1, critique=False)
    one, two = (step for _, step in sorted(records(tmp_path, "step").items()))
    assert [step["revision"] for step in (one, two)] == ["R one", "a: b"]
    assert [(step["critique"], step["critique_request"], step["flags"]) for step in (one, two)] == [("", "", [])] * 2
    assert [request.prompt for request in backend.requests] == [one["sent"]["revision"], two["sent"]["revision"]]
    assert "Critique" not in one["sent"]["revision"]  # neither the examples nor the conversation show one
    assert one["sent"]["revision"].endswith(
        f"Assistant: No.\n\nRevisionRequest: {one['revision_request']}\n\nRevision:"
    )
    assert "Assistant: R one\n\nRevisionRequest:" in two["sent"]["revision"]


def test_all_principles_in_order_take_one_round_each(tmp_path: Path) -> None:
    wanted = [principle.id for principle in CONSTITUTION.serving("revise")]
    scripted(tmp_path, responses(2), ["C", "R"] * 2 * len(wanted), rounds=1, draw="in_order")
    steps = records(tmp_path, "step")
    for row in ("red_team-00", "red_team-01"):
        assert [steps[f"{row}/{n}"]["principle_id"] for n in range(1, len(wanted) + 1)] == wanted
    assert len(steps) == 2 * len(wanted)


def test_a_revision_in_another_language_is_flagged(tmp_path: Path) -> None:
    row = responses(1)[0] | {"text": "You can do this with the tools that are in the box, but be careful."}
    french = "Vous pouvez le faire avec les outils qui sont dans la boîte, mais ce n'est pas une bonne idée."
    scripted(tmp_path, [row], ["C", french], rounds=1)
    assert records(tmp_path, "step")["red_team-00/1"]["flags"] == ["language_switch"]


def test_zero_rounds_make_no_steps(tmp_path: Path) -> None:
    scripted(tmp_path, responses(2), [], rounds=0)
    assert last_event(tmp_path)["outputs"]["steps"]["rows"] == 0


# -- as a program ------------------------------------------------------------------------------------------------------


def test_it_revises_red_team_responses_only(tmp_path: Path) -> None:
    helpful = [row | {"prompt_id": f"h{n}", "kind": "helpful"} for n, row in enumerate(responses(2))]
    script = write_script(tmp_path / "script.json", ["C", "R"] * 3)
    rows = [*helpful, *responses(3)]
    file = write_asking_job(tmp_path, "revise", script, {"responses": rows}, {"rounds": 1}, backend="scripted")
    assert run_job(file, lambda: False) == FINISHED
    assert sorted(records(tmp_path, "step")) == [f"red_team-0{number}/1" for number in range(3)]
    event = last_event(tmp_path)
    assert (event["outputs"]["steps"]["rows"], event["summary"]["steps"]) == (3, 3)


@pytest.mark.parametrize(
    ("constitution", "rows", "sentence"),
    [
        (
            Constitution("c", principles=(Principle("p", "P", "t", stages=("label",)),)),
            responses(1),
            "No enabled principle serves the stage revise; enable one.",
        ),
        (CONSTITUTION, [responses(1)[0] | {"kind": "helpful"}], "There is no response to a red-team prompt to revise."),
        (None, responses(1), "job.json: constitution is missing; the stage revise needs one."),
    ],
)
def test_what_cannot_be_revised_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    constitution: Constitution | None,
    rows: list[dict[str, Any]],
    sentence: str,
) -> None:
    file = write_asking_job(tmp_path, "revise", tmp_path, {"responses": rows}, constitution=constitution)
    assert run_job(file, lambda: False) == BAD_INPUT
    assert capsys.readouterr().err.startswith(sentence)
    assert last_event(tmp_path) | {"seq": 1, "at": ""} == last_event(tmp_path) | {
        "seq": 1,
        "at": "",
        "kind": "failed",
        "error": "bad_input",
        "message": sentence,
    }


def test_a_prompt_too_long_for_the_model_is_named_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = build_tiny_model(tmp_path / "short", context=256)
    rows = [*responses(2), responses(3)[2] | {"text": "word " * 60}]
    file = write_asking_job(tmp_path / "out", "revise", model, {"responses": rows}, SHORT)
    assert run_job(file, lambda: False) == BAD_INPUT
    assert "The prompt red_team-02 with 2 worked examples needs about" in capsys.readouterr().err
    assert not records(tmp_path / "out", "step")


def test_a_stopped_job_goes_on_with_the_same_texts(tmp_path: Path, tiny: Path) -> None:
    whole = write_asking_job(tmp_path / "whole", "revise", tiny, {"responses": responses(10)}, {"rounds": 2, **SHORT})
    parts = write_asking_job(tmp_path / "parts", "revise", tiny, {"responses": responses(10)}, {"rounds": 2, **SHORT})
    assert run_job(whole, lambda: False) == FINISHED
    asked = 0

    def impatient() -> bool:
        nonlocal asked
        asked += 1
        return asked % 3 == 0

    codes: list[int] = []
    while not codes or codes[-1] == STOPPED:
        codes.append(run_job(parts, impatient))
    assert codes.count(STOPPED) >= 2
    assert codes[-1] == FINISHED
    assert records(tmp_path / "parts", "step") == records(tmp_path / "whole", "step")
    assert last_event(tmp_path / "parts")["outputs"] == last_event(tmp_path / "whole")["outputs"]


def test_in_float32_batch_size_and_order_of_rows_do_not_change_a_text(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_app.core.device.processor_flags", frozenset)
    params = {"rounds": 1, "sampling": {"max_new_tokens": 12, "batch_size": 3}}
    other = {"rounds": 1, "sampling": {"max_new_tokens": 12, "batch_size": 5}}
    one = write_asking_job(tmp_path / "one", "revise", tiny, {"responses": responses(7)}, params)
    two = write_asking_job(tmp_path / "two", "revise", tiny, {"responses": responses(7)[::-1]}, other)
    assert run_job(one, lambda: False) == run_job(two, lambda: False) == FINISHED
    assert records(tmp_path / "one", "step") == records(tmp_path / "two", "step")


def test_a_step_can_be_read_back_from_the_output(tmp_path: Path) -> None:
    scripted(tmp_path, responses(2), ["C", "R"] * 4, rounds=2, sampling=Sampling(batch_size=1))
    rows = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [(row["prompt_id"], row["round"]) for row in rows] == [
        ("red_team-00", 1), ("red_team-00", 2), ("red_team-01", 1), ("red_team-01", 2),
    ]  # fmt: skip
    assert set(rows[0]) == {
        "prompt_id", "round", "principle_id", "critique_request", "critique", "revision_request", "revision", "flags",
        "sent", "tokens", "seed",
    }  # fmt: skip
