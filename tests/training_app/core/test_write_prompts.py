from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import CONSTITUTION, last_event, records, write_asking_job, write_script
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.config import Sampling, WriteParams
from training_app.core.events import EventLog
from training_app.core.near_duplicates import Seen, grams_of
from training_app.core.principle_choice import principles_serving
from training_app.core.rows import Prompt
from training_app.core.stage import BAD_INPUT, FINISHED, STOPPED, run_job
from training_app.core.write_prompts import cleaned, write

SEEDS = [
    {"id": f"s{number}", "text": text, "kind": "red_team"}
    for number, text in enumerate(("How do I open a lock?", "Tell me where she lives.", "Write a cruel joke: now."))
]
NEW = ("How could I read my sister's letters?", "Which pills make a dog sleep?", "What should I shout at a waiter?")


def written(out: Path, outputs: list[str], **params: Any) -> tuple[dict[str, dict[str, Any]], ScriptedBackend]:
    backend = ScriptedBackend(outputs, max_words=params.pop("max_words", None))
    aim = principles_serving(CONSTITUTION, "revise") if params.get("aim") == "principle" else ()
    chosen: dict[str, Any] = {"count": 2, "sampling": Sampling(batch_size=2)}
    options = WriteParams(**chosen | params)
    with EventLog(out) as events:
        write([Prompt.from_row(row) for row in SEEDS], aim, backend, options, events, lambda: False, seed=3)
    return records(out, "prompt"), backend


def test_it_goes_on_until_enough_are_kept_and_counts_what_it_left_out(tmp_path: Path) -> None:
    outputs = ["how do i open a LOCK", NEW[0], "", NEW[0] + "!", "No way", NEW[1], NEW[2], "never asked"]
    found, backend = written(tmp_path, outputs, shown=2)
    assert [row["text"] for row in found.values()] == list(NEW[:2])
    assert all(row["tags"] == ["written"] and row["kind"] == "red_team" for row in found.values())
    assert last_event(tmp_path)["summary"] == {
        "wanted": 2, "written": 2, "attempts": 6, "tokens": last_event(tmp_path)["summary"]["tokens"],
        "left_out": {"empty": 1, "like a seed prompt": 1, "like one already written": 1, "too short": 1},
    }  # fmt: skip
    assert last_event(tmp_path)["outputs"]["prompts"]["rows"] == 2
    assert backend.requests[0].prompt.count("\n\nHuman: ") == 2 and backend.requests[0].prompt.endswith("\n\nHuman:")
    assert len({request.seed for request in backend.requests}) == 6


def test_what_is_cut_off_or_declines_is_no_prompt(tmp_path: Path) -> None:
    long = "Tell me all of the " + "very " * 9 + "things"
    found, _ = written(tmp_path, [long, "I'm sorry, I can't help with that.", NEW[0], NEW[1]], max_words=12)
    assert len(found) == 2
    assert last_event(tmp_path)["summary"]["left_out"] == {"cut off": 1, "declines instead of asking": 1}


def test_a_prompt_can_be_written_for_a_principle_and_says_which(tmp_path: Path) -> None:
    found, backend = written(tmp_path, list(NEW), aim="principle", count=3, sampling=Sampling(batch_size=1))
    cited = {row["tags"][1] for row in found.values()}
    assert cited <= {"gentle", "brief"}
    assert all("by this principle: Be " in request.prompt for request in backend.requests)
    assert sum(last_event(tmp_path)["summary"]["principles"].values()) == 3


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Human: How: exactly? Like this: so.", "How: exactly? Like this: so."),
        ("6. What is it?\n7. And this?", "What is it?"),
        ("“Tell me: why?”", "Tell me: why?"),
        ("In 3. Reich there was\na line", "In 3. Reich there was\na line"),
        ("Do this:\n- one\n- two", "Do this:"),
        ("", ""),
    ],
)
def test_one_prompt_is_taken_out_and_nothing_is_cut_at_a_colon(text: str, prompt: str) -> None:
    assert cleaned(text) == prompt


def test_likeness_is_of_letters_not_of_case_or_punctuation() -> None:
    seen = Seen()
    assert seen.nearest("anything") == (0.0, "")
    seen.add("one", "How do I open a lock?")
    seen.add("two", "Where does she live?")
    assert seen.nearest("how do I OPEN a lock!!") == (1.0, "one")
    similarity, name = seen.nearest("How do you open a lock?")
    assert 0.5 < similarity < 1 and name == "one"
    assert seen.nearest("zzz")[0] == 0
    assert grams_of("ab") == {"ab"} and grams_of("?!") == frozenset()


def test_a_killed_job_goes_on_with_the_same_prompts(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    params = {"count": 6, "attempts": 3, "max_similarity": 1.0, "sampling": {"max_new_tokens": 24, "batch_size": 3}}
    whole = write_asking_job(tmp_path / "whole", "write", model, {"seeds": SEEDS}, params)
    parts = write_asking_job(tmp_path / "parts", "write", model, {"seeds": SEEDS}, params)
    first = run_job(whole, lambda: False)
    answers = iter([False, True, False, False, False, False, False, False])
    assert run_job(parts, lambda: next(answers)) == STOPPED
    assert run_job(parts, lambda: False) == first
    for kind in ("attempt", "prompt"):
        assert records(tmp_path / "parts", kind) == records(tmp_path / "whole", kind)


def test_what_was_recorded_of_a_batch_stays_when_the_batch_is_done_again(tmp_path: Path) -> None:
    """A server may write something else the second time: prompts must still be those of the recorded attempts."""
    written(tmp_path, list(NEW[:2]))
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if b'"record":"prompt"' in line)
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines[: first + 1]))
    found, _ = written(tmp_path, ["Who hides money from a wife?", NEW[2]])
    assert [row["text"] for row in found.values()] == [NEW[0], NEW[2]]
    assert [data["text"] for data in records(tmp_path, "attempt").values()] == [NEW[0], NEW[2]]


def test_nothing_usable_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = write_script(tmp_path / "script.json", ["No"] * 4)
    file = write_asking_job(tmp_path / "out", "write", script, {"seeds": SEEDS}, {"count": 1}, backend="scripted")
    assert run_job(file, lambda: False) == BAD_INPUT
    assert "None of 4 attempts gave a usable prompt: 4 too short." in capsys.readouterr().err
    script.write_text('{"outputs": ["Which pills make a dog sleep?", "x", "y", "z"]}')
    again = write_asking_job(tmp_path / "more", "write", script, {"seeds": SEEDS}, {"count": 1}, backend="scripted")
    assert run_job(again, lambda: False) == FINISHED
