"""A long labelling job that is killed outright: nothing missing, nothing twice, the same labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.base import wait_for
from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import records, write_asking_job
from tests.warm import warm_stage
from training_app.core.stage import FINISHED, run_job

COUNT = 2000
ROWS = [
    {"id": f"c-{n:04d}", "prompt": f"{n}", "response_a": "in " * (n % 5) + "a", "response_b": "on " * (n % 3) + "b"}
    for n in range(COUNT)
]
PARAMS = {"template": "principle_last", "batch_size": 100}


@pytest.mark.xdist_group("warm")
def test_a_killed_labelling_job_of_two_thousand_goes_on_where_it_was(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    whole, killed = (
        write_asking_job(tmp_path / name, "label", model, {"comparisons": ROWS}, PARAMS) for name in ("whole", "killed")
    )
    log = killed.parent / "events.jsonl"
    process = warm_stage(killed)
    wait_for(lambda: log.exists() and log.read_bytes().count(b'"record":"label"') >= 300, seconds=90)
    process.kill()
    process.wait()
    before = log.read_bytes()
    assert 300 <= before.count(b'"record":"label"') < COUNT
    log.write_bytes(before + b'{"seq": 99999, "kind": "rec')  # the line a kill tears
    assert run_job(killed, lambda: False) == run_job(whole, lambda: False) == FINISHED
    assert log.read_bytes().startswith(before)  # nothing already labelled was done again
    assert {data["comparison_id"] for data in records(killed.parent, "label").values()} == {row["id"] for row in ROWS}
    assert len(records(killed.parent, "label")) == COUNT  # `records` refuses a key that stands there twice
    assert (killed.parent / "labels.jsonl").read_bytes() == (whole.parent / "labels.jsonl").read_bytes()
