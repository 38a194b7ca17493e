from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.tiny_model import build_tiny_model
from training_app.core import stage
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.digests import digest_file
from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.job import ModelRef
from training_app.core.judge_eval import JudgeEvalParams, calibration, judge_file, report
from training_app.core.judge_items import item_of
from training_app.core.judge_spec import JudgeSpec
from training_app.core.statistics import wilson

PROMPT = "Which? {} Options:\n (A) one\n (B) two\n\nThe answer is:"
REF = ModelRef(Path("m"), "tiny", "0" * 64, "scripted")


def line(number: int, right: str = "A") -> str:
    wrong = "B" if right == "A" else "A"
    return json.dumps({"prompt": PROMPT.format(number), "corrects": [f" ({right})"], "incorrects": [f" ({wrong})"]})


def logs(p_first: float) -> tuple[float, float]:
    return math.log(p_first), math.log(1 - p_first)


def judged(*answers: tuple[str, float, float]) -> dict[str, object]:
    """The report for questions (right option, p of the first shown in order ab, in order ba)."""
    items = [item_of(line(number, right), number) for number, (right, _, _) in enumerate(answers, start=1)]
    backend = ScriptedBackend(scores=[logs(p) for _, ab, ba in answers for p in (ab, ba)])
    return judge_file(items, backend, REF, JudgeEvalParams(batch_size=100))


def test_a_judge_that_reads_is_right_in_both_orders() -> None:
    found = judged(("A", 0.9, 0.2), ("B", 0.1, 0.7))
    assert (found["n"], found["accuracy"], found["same_position"]) == (2, 1.0, 0.0)
    assert found["interval"] == wilson(2, 2).interval_list()
    assert found["ece"] == pytest.approx(((1 - 0.85) + (1 - 0.8)) / 2)
    assert found["brier"] == pytest.approx((0.15**2 + 0.2**2) / 2)


def test_a_judge_that_sticks_to_a_place_is_seen_through() -> None:
    found = judged(("A", 0.9, 0.8), ("B", 0.9, 0.8), ("A", 0.7, 0.6))
    assert found["same_position"] == 1.0
    orders = found["orders"]
    assert isinstance(orders, dict)
    assert [orders[name]["first_position"] for name in ("ab", "ba")] == [1.0, 1.0]
    assert [orders[name]["accuracy"] for name in ("ab", "ba")] == pytest.approx([2 / 3, 1 / 3])


def test_an_undecided_judge_is_half_right() -> None:
    found = judged(("A", 0.5, 0.5))
    assert (found["accuracy"], found["same_position"], found["ece"]) == (0.5, 0.0, 0.0)


def test_one_order_has_no_position_to_compare() -> None:
    item = item_of(json.dumps({"prompt": "Kind?", "corrects": [" Yes"], "incorrects": [" No"]}), 1)
    found = judge_file([item], ScriptedBackend(scores=[logs(0.3)]), REF, JudgeEvalParams())
    assert found["same_position"] is None and found["accuracy"] == 1.0 and list(found["orders"]) == ["ab"]


def test_confidence_is_held_against_being_right_bin_by_bin() -> None:
    curve = calibration([0.5, 0.54, 0.96, 1.0], [0.0, 1.0, 1.0, 1.0])
    assert [(bin["low"], bin["n"], bin["accuracy"]) for bin in curve] == [(0.5, 2, 0.5), (0.95, 2, 1.0)]


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(BadInput, match="no question"):
        report([], JudgeSpec("m", "d", "paper", "float32"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("judge") / "tiny")


def test_the_command_and_the_stage_program_say_the_same(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text("\n".join(line(number, "AB"[number % 2]) for number in range(6)))
    call_command(
        "judge_eval", file, "--json", model=tiny, dtype="float32", stdout=(out := StringIO()), stderr=StringIO()
    )
    said = json.loads(out.getvalue())
    assert set(said) >= {"n", "accuracy", "interval", "same_position", "ece", "judge"}
    assert said["n"] == 6 and said["judge"]["model_name"] == "tiny" and len(said["judge"]["digest"]) == 64

    job = tmp_path / "eval" / "job.json"
    job.parent.mkdir()
    model = {"path": str(tiny), "digest": said["judge"]["model_digest"], "name": "tiny"}
    items = {"path": "../items.jsonl", "digest": digest_file(file)}
    parts = {"schema": 1, "stage": "judge_eval", "run": "e", "seed": 0, "out": ".", "model": model}
    job.write_text(json.dumps({**parts, "inputs": {"items": items}}))
    assert stage.run_job(job, lambda: False) == stage.FINISHED
    with EventLog(job.parent) as events:
        assert len(events.records("judged")) == 6
    finished = json.loads((job.parent / "events.jsonl").read_text().splitlines()[-1])
    assert finished["summary"]["accuracy"] == said["accuracy"]
    assert finished["summary"]["ece"] == pytest.approx(said["ece"], abs=1e-4)


def test_the_command_names_bad_lines_and_missing_models(tmp_path: Path) -> None:
    (file := tmp_path / "items.jsonl").write_text("{}\n")
    with pytest.raises(CommandError, match="Line 1: neither"):
        call_command("judge_eval", file, model=tmp_path)
    file.write_text(line(1))
    with pytest.raises(CommandError, match=r"not there|is no model|config"):
        call_command("judge_eval", file, model=tmp_path / "nowhere", stderr=StringIO())
