from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from training_app.core.errors import BadInput, DiskFull, NotFinite
from training_app.core.events import EventLog, read_events, write_rows


def started(log: EventLog, total: int = 4, *, resumed_at: int = 0) -> None:
    log.started(device="CPU", dtype="float32", total=total, unit="prompts", resumed_at=resumed_at, notes=["a note"])


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_numbers_events_without_gaps_and_says_when(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        started(log)
        log.record("response", "p1", {"text": "hé\n"})
        log.progress(1)
        log.finished(summary={"n": 1})
    events = read_events(tmp_path / "events.jsonl")
    assert [event["seq"] for event in events] == [1, 2, 3, 4]
    assert [event["kind"] for event in events] == ["started", "record", "progress", "finished"]
    assert all(event["at"].endswith("Z") for event in events)
    assert events[0]["note"] == ["a note"]
    assert "torch" in events[0]["versions"]
    assert events[1]["data"] == {"text": "hé\n"}


def test_it_never_writes_a_record_twice(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        assert log.record("response", "p1", {"text": "one"})
        assert not log.record("response", "p1", {"text": "two"})
    with EventLog(tmp_path) as log:
        assert log.has("response", "p1")
        assert not log.has("label", "p1")
        assert not log.record("response", "p1", {"text": "three"})
        assert log.records("response") == {"p1": {"text": "one"}}
        assert log.record("label", "p1", {})


@pytest.mark.parametrize(
    "torn", [b'{"seq":3,"kind":"rec', b'{"seq":3,"kind":"record"}', b"\x00" * 40, b"\n", b"\xff\n"]
)
def test_it_cuts_off_a_torn_end_and_goes_on_counting(tmp_path: Path, torn: bytes) -> None:
    with EventLog(tmp_path) as log:
        log.record("response", "p1", {})
        log.record("response", "p2", {})
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with EventLog(tmp_path) as log:
        log.record("response", "p3", {})
    assert path.read_bytes().startswith(whole)
    assert [event["seq"] for event in read_events(path)] == [1, 2, 3]


def test_it_refuses_a_log_damaged_before_its_end(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        for number in range(3):
            log.record("response", f"p{number}", {})
    path = tmp_path / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{broken\n" + lines[2])
    with pytest.raises(BadInput, match=r"events\.jsonl is damaged at line 2"):
        EventLog(tmp_path)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(BadInput, match="damaged at line 2"):
        EventLog(tmp_path)


def test_estimates_leave_out_what_was_done_before_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    log = EventLog(tmp_path, clock=clock)
    started(log, total=100, resumed_at=60)
    log.progress(60)
    clock.now += 10
    log.progress(80, tokens=500)
    first, second = [event for event in read_events(tmp_path / "events.jsonl") if event["kind"] == "progress"]
    assert (first["rate"], first["eta_s"]) == (None, None)
    assert (second["rate"], second["eta_s"], second["tokens"]) == (2.0, 10.0, 500)
    log.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_that_is_not_finite_fails_the_stage_and_is_not_written(tmp_path: Path, value: float) -> None:
    with EventLog(tmp_path) as log:
        log.metric(1, {"loss": 2.0})
        with pytest.raises(NotFinite, match=r"loss became (nan|inf|-inf) at step 2"):
            log.metric(2, {"reward": 1.0, "loss": value})
    assert [event["step"] for event in read_events(tmp_path / "events.jsonl")] == [1]


def test_outputs_are_sorted_by_key_and_digested(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        for key in ("b", "c", "a"):
            log.record("response", key, {"prompt_id": key})
        output = log.write_output("response", "responses")
    assert output.rows == 3
    lines = (tmp_path / output.path).read_text().splitlines()
    assert [json.loads(line)["prompt_id"] for line in lines] == ["a", "b", "c"]
    assert not (tmp_path / "responses.jsonl.partial").exists()


def test_text_that_utf8_cannot_hold_is_replaced_not_fatal(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.record("response", "p", {"text": "a\ud800b"})
    output = write_rows(tmp_path / "rows.jsonl", [{"text": "a\ud800b"}])
    assert read_events(tmp_path / "events.jsonl")[0]["data"]["text"] == "a?b"
    assert output.rows == 1


def test_a_full_disk_leaves_no_half_line_and_is_still_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path)
    log.record("response", "p1", {})
    write = os.pwrite

    def full(file: int, data: bytes, offset: int) -> int:
        if (tmp_path / ".reserve").exists():
            write(file, data[:5], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        log.record("response", "p2", {})
    assert (tmp_path / "events.jsonl").read_bytes().endswith(b"}\n")
    log.failed(DiskFull("The disk is full.", "Make room."))
    log.close()
    assert [event["kind"] for event in read_events(tmp_path / "events.jsonl")] == ["record", "failed"]
