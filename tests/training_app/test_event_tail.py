"""Following a growing event log: whole lines, each once, damage named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training_app.event_tail import DamagedEvents, EventTail, storable


def line(seq: int, kind: str = "log") -> str:
    return json.dumps({"seq": seq, "at": "2026-11-24T15:00:00.000Z", "kind": kind}) + "\n"


def test_it_waits_for_the_file_and_for_the_end_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventTail(path, after=0)
    assert tail.take().events == ()
    path.write_text(line(1) + line(2)[:-9])
    batch = tail.take()
    assert [event.seq for event in batch.events] == [1]
    tail.done(batch)
    path.write_text(line(1) + line(2) + line(3))
    assert [event.seq for event in tail.take().events] == [2, 3]


def test_it_reads_again_what_did_not_reach_the_database(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line(1) + line(2))
    tail = EventTail(path, after=0)
    assert tail.take() == tail.take()
    tail.done(tail.take())
    assert tail.take().events == ()
    assert tail.after == 2


def test_it_passes_over_what_an_earlier_claim_took_in(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(map(line, range(1, 8))))
    tail = EventTail(path, after=3)
    taken: list[int] = []
    while (batch := tail.take(most=3)).events:
        taken += [event.seq for event in batch.events]
        tail.done(batch)
    assert taken == [4, 5, 6, 7]


def test_it_names_a_damaged_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line(1) + "{}\n" + line(3))
    with pytest.raises(DamagedEvents, match=f"at byte {len(line(1))}"):
        EventTail(path, after=0).take()


def test_text_is_made_storable_at_every_depth() -> None:
    assert storable({"a\x00": ["b\x00", {"c": "\x00"}], "n": 1}) == {"a": ["b", {"c": ""}], "n": 1}
