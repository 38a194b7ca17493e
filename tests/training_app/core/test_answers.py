from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from training_app.core.answers import Answer, answers_of, last_answer, read_answers
from training_app.core.errors import BadInput

CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "q", "answer": "a"}, [Answer("q", "a")]),
        ({"prompt": "q", "text": "t", "response": "a"}, [Answer("q", "a")]),
        ({"text": "a"}, [Answer("line 7", "a")]),
        ({"prompt": "q", "what_it_said": "a", "score": 3}, [Answer("q", "a")]),
        ({"rl_prompt": "q", "sampled_answers": [{"sampled_string": " a\n\nHuman:"}]}, [Answer("q", "a")]),
        ({"instruction": "q", "completions": ["a", "b"]}, [Answer("q", "a"), Answer("q", "b")]),
        ({"choices": [{"message": {"role": "assistant", "content": "a"}}]}, [Answer("line 7", "a")]),
        ({"messages": CHAT}, [Answer("line 7", "a")]),
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, [Answer("line 7", "a")]),
        (
            {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
            [Answer("line 7", "a"), Answer("line 7", "b")],
        ),
        ({"rl_prompt": "q", "cst": [{"revision": {"sample": "x"}}, {"revision": {"sample": "a"}}]}, [Answer("q", "a")]),
        ("a", [Answer("line 7", "a")]),
    ],
)
def test_it_finds_the_answers_of_many_shapes(row: Any, expected: list[Answer]) -> None:
    assert answers_of(row, 7) == expected


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"a": "x", "b": "y"}, "found a, b"),
        ({"prompt": "q"}, "found prompt"),
        (3, "found int"),
        ({"messages": [{"role": "user", "content": "q"}]}, "no answer of the assistant"),
        ({"answers": [4]}, "found int"),
        ({"cst": [{}]}, "found NoneType"),
    ],
)
def test_it_says_why_a_row_holds_no_answer(row: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        answers_of(row, 1)


def test_the_answer_of_a_transcript_is_its_last_assistant_turn() -> None:
    assert last_answer("\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: b\n\nHuman: s") == "b"
    assert (
        last_answer("Ask the Assistant: he knows.\nHuman rights matter.")
        == "Ask the Assistant: he knows.\nHuman rights matter."
    )


def test_it_reads_gzip_like_plain_and_names_every_bad_line(tmp_path: Path) -> None:
    lines = b'\xef\xbb\xbf{"answer": "a"}\n\n{"answer": \n{"x": "\xff"}\n{"q": 1}\n'
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_bytes(lines)
    packed.write_bytes(gzip.compress(lines))
    said = []
    for path in (plain, packed):
        with pytest.raises(BadInput) as refused:
            read_answers(path)
        said.append(refused.value.advice)
    assert said[0] == said[1]
    assert [line.split(":")[0] for line in said[0].splitlines()] == ["Line 3", "Line 4", "Line 5"]
    plain.write_text(json.dumps({"answer": "a"}))
    assert read_answers(plain) == [Answer("line 1", "a")]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\x1f\x8b damaged"])
def test_an_empty_or_damaged_file_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.jsonl (holds no line|cannot be read)"):
        read_answers(path)
