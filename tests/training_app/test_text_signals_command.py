from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def test_it_prints_one_json_object(tmp_path: Path) -> None:
    (file := tmp_path / "answers.jsonl").write_text('{"answer": "You are valid."}\n{"answer": "I can\'t help you."}\n')
    call_command("text_signals", file, "--json", stdout=(out := StringIO()))
    assert json.loads(out.getvalue()) == {
        "n": 2, "boilerplate": 0.5, "evasion": 0.5, "length": 3.5, "distinct_n": 1.0,
    }  # fmt: skip


def test_it_refuses_a_file_without_answers_by_line(tmp_path: Path) -> None:
    (file := tmp_path / "answers.jsonl").write_text('{"answer": "a"}\nnot json\n')
    with pytest.raises(CommandError, match="Line 2: not JSON"):
        call_command("text_signals", file)
