from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from benchmarks._measuring import Figure, Report, interleaved, options


def test_candidates_take_turns_and_each_begins_a_round() -> None:
    calls: list[str] = []
    figures = interleaved({name: partial(calls.append, name) for name in "abc"}, rounds=3, warm_up=False)
    assert calls == list("abcbcacab")
    assert all(figure.min <= figure.median <= figure.max and figure.unit == "s" for figure in figures.values())


def test_a_time_becomes_a_rate_with_its_ends_turned_round() -> None:
    assert Figure(2.0, 1.0, 4.0, "s").per(8, "tokens/s") == Figure(4.0, 2.0, 8.0, "tokens/s")


def test_the_report_is_the_json_that_is_promised(tmp_path: Path) -> None:
    report = Report("labelling", {"processor": "p", "cores": 2, "ceilings": {"matmul": 1.0}}, {"torch": "2"})
    report.results["loop"] = Figure(4.0, 3.0, 5.0, "s")
    report.ratio("faster", baseline=report.results["loop"], candidate=Figure(0.5, 0.5, 0.5, "s"))
    report.write(tmp_path / "deep" / "file.json")
    body = json.loads((tmp_path / "deep" / "file.json").read_text())
    assert body["machine"]["ceilings"] == {"matmul": 1.0}
    assert body["results"]["loop"] == {"median": 4.0, "min": 3.0, "max": 5.0, "unit": "s"}
    assert body["ratios"] == {"faster": 8.0}
    assert options("labelling", "about").parse_args(["--json", "x.json"]).json == Path("x.json")
