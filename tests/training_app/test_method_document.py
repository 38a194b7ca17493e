from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training_app.core.chat import ChatParams
from training_app.core.config import RunConfig, WriteParams
from training_app.core.judge_eval import JudgeEvalParams

ROW = re.compile(r"^\| `([a-z_.]+)` \| ([^|]+) \| ([^|]*)\| ([^|]*)\|$", re.MULTILINE)
PARTS: dict[str, Any] = {"write": WriteParams(), "judge_eval": JudgeEvalParams(), "chat": ChatParams()}
"""What other programs than the stages of a run are told."""


def test_the_document_names_every_option_with_its_default_and_no_other() -> None:
    """docs/method.md promises that this holds it to the code: to the very classes that the stages read."""
    rows = ROW.findall((Path(__file__).parents[2] / "docs" / "method.md").read_text(encoding="utf-8"))
    said = {name: default.strip().partition(";")[0] for name, default, _, _ in rows}
    options = _flat(asdict(RunConfig()) | {name: asdict(params) for name, params in PARTS.items()})
    assert len(rows) == len(said) and said.keys() == options.keys()
    for path, value in options.items():
        assert _same(said[path], value), (path, said[path])
    assert not [name for name, _, paper, note in rows if not (paper.strip() or note.strip())], "where it comes from"


def _flat(data: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in data.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def _same(written: str, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return written == {None: "none", True: "on", False: "off"}[value]
    return float(written) == value if isinstance(value, int | float) else written == value
